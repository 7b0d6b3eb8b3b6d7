"""Writes the cases as one store, chunk by chunk, so that no bomb is ever held in memory.

What does not belong here: what the cases hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hostile_corpus.case import Case, Record
from hostile_corpus.index_lines import STRAY_LINES, STRAYS


@dataclass(frozen=True)
class Corpus:
    """A written corpus: the cases by the path of their tarball."""

    store: Path
    by_path: dict[str, Case]


def write_case(target: Path, case: Case) -> Record:
    """Puts the case's tarball at `target`; its true index record."""
    digest, n = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    if case.place is not None:
        case.place(target, case.good)
    else:
        with target.open("wb") as out:
            for chunk in case.chunks():
                out.write(chunk)
                digest.update(chunk)
                n += len(chunk)
    return {
        "episode_id": case.name,
        "host_id": case.host,
        "path": case.path,
        "bytes": target.stat().st_size if target.is_file() else n,
        "sha256": digest.hexdigest(),
    }


def write_corpus(folder: Path, cases: Iterable[Case]) -> Corpus:
    """Writes `folder/store`, and beside it what links in the store point to."""
    store = folder / "store"
    store.mkdir(parents=True)
    lines, by_path = [], {}
    for case in cases:
        assert case.path not in by_path, case.path
        lines.append(case.lines(write_case(store / case.path, case)))
        by_path[case.path] = case
    for put in STRAYS:
        put(store)
    lines += [raw for raw, _ in STRAY_LINES]
    (store / "index.jsonl").write_bytes(b"".join(lines))
    return Corpus(store, by_path)
