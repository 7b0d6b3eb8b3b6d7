"""`rlstir validate` over the whole corpus, as a user runs it: one line per tarball, within its time and memory."""

from __future__ import annotations

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

from hostile_corpus.index_lines import UNSAFE_PATHS
from hostile_corpus.store import Corpus

PEAK_RSS_MIB = 256
CPU_S = 20.0

# A small process of its own starts the command, because a child's peak counts what its parent held at the fork.
LAUNCHER = """
import json, os, subprocess, sys
with open("printed", "wb") as printed, open("complained", "wb") as complained:
    process = subprocess.Popen(sys.argv[1:], stdout=printed, stderr=complained)
    _, status, usage = os.wait4(process.pid, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024]))
"""


def _lay(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_the_command_gives_one_line_a_tarball_and_stays_small(corpus: Corpus, tmp_path):
    store_before, out = _lay(corpus.store.parent), tmp_path / "verdicts.jsonl"
    command = [Path(sys.executable).with_name("rlstir"), "validate", "--store", corpus.store, "--out", out]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("RLSTIR_")} | {"OMP_NUM_THREADS": "1"}
    launched = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, check=True
    )
    code, cpu_s, peak_mib = json.loads(launched.stdout)
    complaints = (tmp_path / "complained").read_text()
    assert code == 0, complaints
    assert "Traceback" not in complaints
    assert _lay(corpus.store.parent) == store_before
    assert {path.name for path in tmp_path.iterdir()} == {"verdicts.jsonl", "printed", "complained"}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    times = collections.Counter(line["file"] for line in lines)
    assert times == dict.fromkeys([*corpus.by_path, *UNSAFE_PATHS], 1)
    for line in lines:
        if line["file"] in UNSAFE_PATHS:
            assert (line["verdict"], line["reason"]) == ("reject", "index.path")
            continue
        case = corpus.by_path[line["file"]]
        assert case.accepts(line["verdict"], line["reason"]), line
    print(f"{len(lines)} tarballs, {cpu_s:.1f} s of CPU, {peak_mib:.0f} MiB at most")
    assert peak_mib <= PEAK_RSS_MIB
    assert cpu_s <= CPU_S
