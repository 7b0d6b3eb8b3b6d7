"""A data folder belongs to one store: what is refused so that nobody's results are taken away by mistake.

Only the episode index binds a folder to its store; everything else asks first. What does not belong here: how a
store is known again (`results/store_identity.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlstir_core import remedies
from rlstir_core.episodes.store.gone import gone_hosts, remove_gone_hosts
from rlstir_core.episodes.store.index import IndexEntry, StoreIndex, load_index, named_entries, read_index, save_index
from rlstir_core.episodes.store.writer import INDEX_NAME
from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.progress import Progress, told_to
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.results.store_identity import (
    NO_STAMP,
    Content,
    IndexStamp,
    StoreIdentity,
    identity_of,
    read_identity,
    stamp_of_index,
    write_identity,
)

_MAY_GO = 0.5  # share of the known hosts or episodes that may be gone without a word


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """What the index of the store says now, and the hosts whose results were taken away."""

    index: StoreIndex
    departed: tuple[str, ...]


def opened_index(store: Path, layout: Layout) -> StoreIndex:
    """The index that the outputs of `layout` were made from, after looking that `store` is that store.

    StoreError where the store is not there, cannot be read or is another one; UpstreamMissing where the index was
    never read.
    """
    _check_same(store, layout, known_store(layout))
    return load_index(layout.index)


def refresh_index(store: Path, layout: Layout, *, prune: bool = False, progress: Progress | None = None) -> Refreshed:
    """Reads the index, binds `layout` to its store and takes away what was made of hosts that are gone.

    StoreError, and nothing is written, where the store is another one, or where more than half of the known hosts
    or episodes are gone and nobody said `prune`; where the folder forgot its store, where any host is gone.
    """
    with holding(layout.index_lock, waiting=told_to(progress)):
        known = known_store(layout)
        _check_same(store, layout, known)
        stamp = stamp_of_index(store / INDEX_NAME)  # before reading: a later line gives the index another one
        index = read_index(store)
        if not prune:
            _check_not_halved(store, layout, known, index)
        gone = remove_gone_hosts(layout, index.hosts, progress)
        save_index(layout.index, index)
        write_identity(layout.store_identity, _identity(index, stamp))
    before = () if known is None else known.hosts
    return Refreshed(index=index, departed=tuple(sorted({*gone, *before}.difference(index.hosts))))


def check_departures(store: Path, layout: Layout, index: StoreIndex) -> None:
    """Refuses an index from which more than half of the known hosts or episodes are gone."""
    _check_not_halved(store, layout, known_store(layout), index)


def check_store(store: Path, layout: Layout) -> None:
    """Refuses a store that is not there, cannot be read, or is not the one that `layout` belongs to."""
    _check_same(store, layout, known_store(layout))


def is_bound(layout: Layout, index: StoreIndex) -> bool:
    """Whether `layout` remembers the store of `index` as it is now."""
    known = read_identity(layout.store_identity)
    return known is not None and known.without_stamp() == _identity(index, NO_STAMP)


def known_store(layout: Layout) -> StoreIdentity | None:
    """The store of a data folder; by the index that was read for it where the identity is lost."""
    found = read_identity(layout.store_identity)
    if found is not None:
        return found
    try:
        return _identity(load_index(layout.index), NO_STAMP)
    except UpstreamMissing:
        return None


def own_folder(store: Path) -> Path:
    """A data folder for `store` alone: beside it, and not another's."""
    beside, n = Path(f"{store}-data"), 2
    while beside.exists():
        beside, n = Path(f"{store}-data-{n}"), n + 1
    return beside


def command(store: Path, data: Path, *more: str) -> str:
    """`rlstir materialize` for this store and this data folder, to be pasted into a shell."""
    return remedies.command("materialize", *more, place=remedies.Workplace(store=store, data=data))


def _check_same(store: Path, layout: Layout, known: StoreIdentity | None) -> None:
    if known is not None and known.stamp == _stamp(store):
        return
    named = named_entries(store)
    if known is not None and known.anchors and not known.knows(_contents(named)):
        raise StoreError(
            f"{layout.data} belongs to another store: none of the {known.n_episodes} episodes that it was made from is "
            f"in {store}; give this store a data folder of its own: {command(store, own_folder(store))}"
        )


def _check_not_halved(store: Path, layout: Layout, known: StoreIdentity | None, index: StoreIndex) -> None:
    if known is None:
        if strangers := gone_hosts(layout, index.hosts):
            raise StoreError(
                f"{layout.data} holds results of hosts that {store} does not name ({', '.join(strangers[:5])}), and "
                f"what it was made from is no longer known; give this store a data folder of its own: "
                f"{command(store, own_folder(store))}, or have those results taken away with: "
                f"{command(store, layout.data, '--prune')}"
            )
        return
    hosts = set(known.hosts).union(gone_hosts(layout, ()))
    gone = sorted(hosts.difference(index.hosts))
    n_known, n_gone = _gone_episodes(layout, known, index)
    if len(gone) <= _MAY_GO * len(hosts) and n_gone <= _MAY_GO * n_known:
        return
    lost = f", their tarballs are not there for {len(index.missing)}" if index.missing else ""
    which = f" ({', '.join(gone[:5])}{' and others' if len(gone) > 5 else ''})" if gone else ""
    raise StoreError(
        f"{len(gone)} of {len(hosts)} hosts{which} and {n_gone} of {n_known} episodes that {layout.data} was made from "
        f"are gone from {store}{lost}; bring them back, or have what was made of them taken away with: "
        f"{command(store, layout.data, '--prune')}"
    )


def _gone_episodes(layout: Layout, known: StoreIdentity, index: StoreIndex) -> tuple[int, int]:
    """(episodes known before, those of them that are gone)."""
    now = {(entry.host_id, entry.episode_id) for entry in index.entries}
    try:
        before = {(entry.host_id, entry.episode_id) for entry in load_index(layout.index).entries}
    except UpstreamMissing:  # somebody took the index away; some of what it named is still remembered
        left = known.n_known(_contents((*index.entries, *index.missing)))
        return len(known.anchors), len(known.anchors) - left
    return len(before), len(before - now)


def _identity(index: StoreIndex, stamp: IndexStamp) -> StoreIdentity:
    named = (*index.entries, *index.missing)
    return identity_of(_contents(named), n_episodes=len(index.entries), hosts=index.hosts, stamp=stamp)


def _contents(entries: Sequence[IndexEntry]) -> Iterable[Content]:
    return ((entry.host_id, entry.episode_id, entry.sha256) for entry in entries)


def _stamp(store: Path) -> IndexStamp | None:
    try:
        return stamp_of_index(store / INDEX_NAME)
    except OSError:
        return None
