"""Writes the corpus into a folder, with the verdicts that are expected beside the store."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hostile_corpus import CASES
from hostile_corpus.store import write_corpus

if len(sys.argv) != 2:
    sys.exit("usage: python -m hostile_corpus FOLDER")
folder = Path(sys.argv[1])
corpus = write_corpus(folder, CASES)
with (folder / "expected.jsonl").open("w") as out:
    for path, case in sorted(corpus.by_path.items()):
        out.write(json.dumps({"file": path, "verdict": case.verdict, "reason": case.reason}) + "\n")
print(f"{len(corpus.by_path)} tarballs under {corpus.store}")
