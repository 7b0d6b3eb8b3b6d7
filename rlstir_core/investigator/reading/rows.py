"""The texts of an episode's log rows, streamed from Parquet: some of every kind of row, each text once, in their order.

A long log repeats itself, so what is kept is bounded by the episode and not by the log. What does not belong here:
what a text says (`text.py`), and labels (`investigator/techniques/labels.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow.parquet as pq

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.investigator.reading.names import hidden_names
from rlstir_core.investigator.reading.text import COLUMNS, HiddenNames, record_text
from rlstir_core.results.layout import Layout

_BLOCK = 4_096  # rows at a time
_KINDS_AT_MOST = 4_096  # of one episode; rows of further ones count as one kind


def episode_texts(layout: Layout, info: EpisodeInfo, most: int, hosts: Iterable[str]) -> list[str]:
    """At most `most` texts of an episode in the order of its log.

    `hosts` are names that are hidden beside the episode's own. UpstreamMissing where the episode's rows were not made.
    """
    with opened_rows(layout, info.host, info.own_id) as file:
        return _spread(_texts(file, hidden_names(file, hosts)), most)


def _texts(file: pq.ParquetFile, names: HiddenNames) -> Iterator[tuple[str, str]]:
    """(kind, text) of every row; a kind is a channel, an event and a program."""
    for batch in file.iter_batches(_BLOCK, columns=list(COLUMNS), use_threads=False):
        for row in batch.to_pylist():
            yield f"{row['channel']}\0{row['event_id']}\0{row['exe']}", record_text(row, names)


def _spread(rows: Iterable[tuple[str, str]], most: int) -> list[str]:
    """At most `most` distinct texts: the first of every kind, then the second of every kind, and so on."""
    kept: dict[str, dict[str, int]] = {}  # by kind: text -> place of its first row
    for place, (kind, text) in enumerate(rows):
        of_kind = kept.get(kind)
        if of_kind is None:
            of_kind = kept.setdefault(kind if len(kept) < _KINDS_AT_MOST else "", {})
        if text not in of_kind and len(of_kind) < most:
            of_kind[text] = place
    ranked = sorted(
        ((rank, place, text) for of_kind in kept.values() for rank, (text, place) in enumerate(of_kind.items())),
        key=lambda each: each[:2],
    )
    places: dict[str, int] = {}
    for _, place, text in ranked:  # two kinds may say the same
        places[text] = min(place, places.get(text, place))
    return sorted(islice(places, most), key=places.__getitem__)
