"""Whether a store holds telemetry at all: one of logs alone has rows and graphs, but nothing for detectors.

What does not belong here: what an episode's telemetry must hold (`reading/`).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.reading.read import read_episode
from rlstir_core.episodes.store.index import StoreIndex
from rlstir_core.episodes.validation.verdicts import read_validation
from rlstir_core.results.layout import Layout

_LOOKED_AT = 8  # usable episodes
_OPENED_AT_MOST = 100  # where many are rejected


def has_telemetry(layout: Layout, hosts: Iterable[str]) -> bool:
    """Whether a usable episode of the validated hosts has rows of a source."""
    return any(row.rows for host in hosts for row in read_validation(layout.validation(host)) if row.usable)


def seems_logs_alone(store: Path, index: StoreIndex, registry: Registry) -> bool:
    """Whether episodes of a store that was not validated yet, from many hosts, hold logs and no telemetry."""
    first = {entry.host_id: entry for entry in reversed(index.entries)}
    rest = [entry for entry in index.entries if first[entry.host_id] is not entry]
    seen = 0
    for entry in [*first.values(), *rest][:_OPENED_AT_MOST]:
        reading = read_episode(
            store / entry.path, registry=registry, host_id=entry.host_id, episode_id=entry.episode_id
        )
        if reading.episode is not None:
            if any(rows.n_rows for rows in reading.episode.sources.values()):
                return False
            seen += 1
        if seen == _LOOKED_AT:
            break
    return seen > 0
