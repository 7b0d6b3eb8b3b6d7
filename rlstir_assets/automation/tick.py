"""One look at the store: which runs bring what is stale up to date now, or why there are none.

Asks what `rlstir materialize` asks, and asks for the same runs, a stage at a time: what the next one has to do is known
when the one before it was made. What does not belong here: Dagster's sensor (`sensor.py`).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import msgspec

from rlstir_assets.automation.jobs import job_of
from rlstir_assets.driver.runs import partition_tags
from rlstir_core.atomic import canonical_sha256
from rlstir_core.episodes.store.binding import known_store
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import INDEX_NAME
from rlstir_core.errors import SplitRefused, StoreError, UpstreamMissing
from rlstir_core.results.lock import is_held
from rlstir_core.results.store_identity import stamp_of_index
from rlstir_core.results.versions import VERSIONS

if TYPE_CHECKING:
    from rlstir_assets.driver.plan import Todo
    from rlstir_assets.resources import Settings

ASKED_BY = {"rlstir/asked_by": "new_episodes"}
WORK_TAG = "rlstir/work"
_TRIES = 3  # of one run on one state of the store, within a day: what fails three times needs somebody
_A_DAY = datetime.timedelta(days=1)
_ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED}
_UNFINISHED = [status for status in dg.DagsterRunStatus if status not in _ENDED]


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a tick leaves for the next one."""

    read: str = ""  # the index and the folders of tarballs as they were when the index was last read, or is read next
    settled: str = ""  # the state in which there was nothing to do
    why: str = ""  # and what was said then


@dataclass(frozen=True, kw_only=True)
class Tick:
    """Runs to ask for, or none; what is to be said of them, and the cursor for the next tick."""

    requests: Sequence[dg.RunRequest] = ()
    why: str
    cursor: str


def tick(instance: dg.DagsterInstance, settings: Settings, recipes: Sequence[str], cursor: str | None) -> Tick:
    """What to run now; StoreError or ConfigError with one sentence where nothing can be told."""
    seen = _seen(cursor)
    settings.name_place()
    settings.check()
    if is_held(settings.layout.lock("materialization")):
        return _nothing("`rlstir materialize` is at work on this data folder", seen)
    waiting = instance.get_runs_count(dg.RunsFilter(tags=ASKED_BY, statuses=_UNFINISHED))
    if waiting:
        return _nothing(f"{waiting} {'run has' if waiting == 1 else 'runs have'} not ended yet", seen)
    store = _store_state(settings.store_path)
    state = canonical_sha256([store, settings.as_config(), list(recipes), dict(VERSIONS)])
    if seen.settled == state:
        return _nothing(seen.why, seen)
    notes: list[str] = []
    try:
        for todos in _stages(instance, settings, recipes, is_read=seen.read == store, notes=notes):
            asked = [request for todo in todos if (request := _request(instance, settings, todo, state))]
            if asked:
                why = "; ".join(todo.sentence for todo in todos)
                return Tick(requests=asked, why=why, cursor=_cursor(Seen(read=store)))
            notes += [f"{todo.title} was run {_TRIES} times and is not up to date: see its runs" for todo in todos]
    except (SplitRefused, UpstreamMissing) as error:
        notes.append(str(error))
    why = "; ".join(notes) or "no new episodes"
    return _nothing(why, Seen(read=store, settled=state, why=why))


def _stages(
    instance: dg.DagsterInstance, settings: Settings, recipes: Sequence[str], *, is_read: bool, notes: list[str]
) -> Iterator[list[Todo]]:
    """The stages of the driver; an index that has changed by its stamp is not read to find that out."""
    from rlstir_assets.driver.plan import changed_index
    from rlstir_assets.driver.stages import stages

    known = known_store(settings.layout)
    if known is not None and known.stamp != stamp_of_index(settings.store_path / INDEX_NAME):
        yield [changed_index(settings)]
        return
    index = settings.index() if is_read and known is not None else read_index(settings.store_path)
    yield from stages(settings, recipes, instance, say=notes.append, state=lambda _: None, index=index)


def _request(instance: dg.DagsterInstance, settings: Settings, todo: Todo, state: str) -> dg.RunRequest | None:
    """The run that makes `todo`; None where it was tried often enough in this state."""
    name = canonical_sha256([todo.title, todo.assets, todo.partitions, state])[:32]
    since = datetime.datetime.now(datetime.UTC) - _A_DAY
    tries = instance.get_runs_count(dg.RunsFilter(tags={WORK_TAG: name}, created_after=since))
    if tries >= _TRIES:
        return None
    return dg.RunRequest(
        run_key=f"{name}-{since:%Y%m%d}-{tries}",
        job_name=job_of(todo.assets),
        asset_selection=[dg.AssetKey.from_user_string(each) for each in todo.assets],
        run_config={"resources": {"settings": {"config": settings.as_config()}}},
        tags={**partition_tags(todo.partitions), **ASKED_BY, WORK_TAG: name},
    )


def _store_state(store: Path) -> str:
    """What changes when the index or a tarball does: stamps of the index, of the registry and of the hosts' folders."""
    try:
        index = stamp_of_index(store / INDEX_NAME)
    except OSError as error:
        raise StoreError(
            f"{store / INDEX_NAME} cannot be looked at ({error.strerror}); mount the store, or set RLSTIR_STORE"
        ) from None
    registry = store / "registry.toml"
    folders = sorted(store.glob("episodes/*"))
    return canonical_sha256(
        [index, *((path.name, path.stat().st_mtime_ns) for path in (registry, *folders) if path.exists())]
    )


def _seen(cursor: str | None) -> Seen:
    try:
        return msgspec.json.decode(cursor or "{}", type=Seen)
    except msgspec.MsgspecError:  # of another version: everything is looked at anew
        return Seen()


def _cursor(seen: Seen) -> str:
    return msgspec.json.encode(seen).decode()


def _nothing(why: str, seen: Seen) -> Tick:
    return Tick(why=why, cursor=_cursor(seen))
