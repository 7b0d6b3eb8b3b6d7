"""Techniques in labelled logs across authors, as `benchmarks/techniques.py` measures them, as a section of the page.

What does not belong here: the measuring itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.public.page import Row, Section

FOLDERS = ("evtx_mdecrevoisier", "mordor")
_SHOWN = ("micro F1", "parent F1", "hit@1", "hit@3", "tactic")


def sections(tables: Sequence[Mapping[str, Any]]) -> list[Section]:
    """A section a pair of authors; the cells are shown as that benchmark gives them."""
    found = []
    for table in tables:
        rows = [
            Row(name=name, cells={shown: figures.get(shown, "") for shown in _SHOWN})
            for name, figures in table["models"].items()
        ]
        pairs = "; ".join(f"{pair} {shown}" for pair, shown in table["paired micro F1"].items())
        found.append(
            Section(
                title=f"Techniques in logs: {table['pair'].replace(' -> ', ' to ')}",
                words=f"Learnt from the one author's labelled files, told of all {table['files']} files of the other "
                f"({table['tags']} tags). Intervals resample files. Paired differences of micro F1: {pairs}.",
                rows=tuple(rows),
                data=" ".join(FOLDERS),
            )
        )
    return found
