"""The episode table: what a split may know of every usable episode, with telemetry, with logs or with both.

Made from verdicts and window tables alone; no tensor and no log is opened. What does not belong here: who trains and
who tests (`split.py`).
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from rlstir_core.contract.registry import MODES, PRIMARY_MODE
from rlstir_core.episodes.validation.validate import validated
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation
from rlstir_core.errors import UpstreamMissing
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.telemetry.schema import FeatureSchema, read_schema
from rlstir_core.telemetry.store import tensor_input_sha256
from rlstir_core.telemetry.window_table import TABLE, EpisodeWindows, read_window_table


class EpisodeInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a split may know of an episode."""

    episode_id: str  # one name per episode, over all hosts
    host: str
    recorded_as: str = ""  # the episode's id on its host, where another host uses it as well
    profile: str
    sample: str
    corpus: str = "lab"
    benign: bool
    complete: bool  # the verdict was ok
    synthetic: bool = False
    t_start_wall_ns: int
    t_end_wall_ns: int
    content_sha256: str
    decoded_sha256: str = ""  # of the tarball and the rules it was decoded under
    windows: dict[str, int] = {}  # labelled windows of each phase; none without telemetry
    source_rows: dict[str, int] = {}
    logs: tuple[str, ...] = ()  # the log members
    signature: tuple[int, ...] = ()  # MinHash of what was recorded, for near-duplicates
    channels: tuple[str, ...] = ()  # of the primary mode, that have a value; a split's file does not keep them

    @property
    def own_id(self) -> str:
        """The episode's id on its host."""
        return self.recorded_as or self.episode_id

    @property
    def phases(self) -> tuple[str, ...]:
        return tuple(self.windows)


def episode_table(layout: Layout, hosts: Sequence[str]) -> tuple[EpisodeInfo, ...]:
    """Every usable episode of `hosts` that has labelled windows or logs, by name.

    UpstreamMissing where a host was not validated, or has telemetry whose window table is missing or out of date.
    """
    found: list[EpisodeInfo] = []
    for host in sorted(hosts):
        with holding(layout.host_lock(host), shared=True):  # so that it does not change between verdicts and windows
            found += _of_host(layout, host)
    shared = {name for name, n in Counter(episode.episode_id for episode in found).items() if n > 1}
    named = [_renamed(episode) if episode.episode_id in shared else episode for episode in found]
    return tuple(sorted(named, key=lambda episode: episode.episode_id))


def host_inputs(layout: Layout, host: str) -> list[str]:
    """Hashes of all that the rows of one host are made from: the same hashes give the same rows."""
    decoded = validated(layout, host)
    windows = layout.tensors(host) / TABLE
    stamp = "" if not windows.exists() else read_schema(layout.feature_schema).sha256
    return [host, stamp, *(f"{episode} {key}" for episode, key in decoded.items())]


def _renamed(episode: EpisodeInfo) -> EpisodeInfo:
    name = f"{episode.host}/{episode.episode_id}"
    return msgspec.structs.replace(episode, episode_id=name, recorded_as=episode.episode_id)


def _of_host(layout: Layout, host: str) -> Iterator[EpisodeInfo]:
    decoded = validated(layout, host)
    rows = [row for row in read_validation(layout.validation(host)) if row.usable]
    schema: FeatureSchema | None = None
    windows: dict[str, EpisodeWindows] = {}
    if any(any(row.rows.values()) for row in rows):
        schema = read_schema(layout.feature_schema)
        windows = read_window_table(layout.tensors(host) / TABLE)
        made_under = schema.sha256
        stale = [
            row.episode_id
            for row in rows
            if any(row.rows.values())
            and (
                row.episode_id not in windows
                or windows[row.episode_id].input_sha256 != tensor_input_sha256(decoded[row.episode_id], made_under)
            )
        ]
        if stale:
            raise UpstreamMissing(
                f"the tensors of host {host!r} are missing or out of date for {len(stale)} episodes "
                f"({', '.join(stale[:3])}); make them with: {how_to_make('window_tensors')}"
            )
    visible = () if schema is None else tuple((c.name, c.vantage in MODES[PRIMARY_MODE]) for c in schema.channels)

    @functools.cache  # most episodes of a host have the same ones
    def channels(known: bytes) -> tuple[str, ...]:
        return tuple(name for (name, seen), has in zip(visible, known, strict=True) if seen and has)

    for row in rows:
        mine = windows.get(row.episode_id)
        of_phase = _labelled(mine, schema)
        if of_phase or row.log_bytes:
            recorded = channels(mine.known_C.tobytes()) if mine is not None and of_phase else ()
            yield _info(row, decoded[row.episode_id], of_phase, mine, recorded)


def _labelled(windows: EpisodeWindows | None, schema: FeatureSchema | None) -> dict[str, int]:
    if windows is None or schema is None:
        return {}
    label_W = windows.label_W[windows.label_W >= 0]
    count_K = np.bincount(label_W, minlength=len(schema.phases))
    return {phase: int(n) for phase, n in zip(schema.phases, count_K, strict=True) if n}


def _info(
    row: ValidationRow,
    decoded_sha256: str,
    of_phase: dict[str, int],
    windows: EpisodeWindows | None,
    channels: tuple[str, ...],
) -> EpisodeInfo:
    start, end, benign = row.t_start_wall_ns, row.t_end_wall_ns, row.benign
    assert start is not None and end is not None and benign is not None  # usable rows have them
    return EpisodeInfo(
        episode_id=row.episode_id,
        host=row.host,
        profile=row.profile,
        sample=row.sample_name,
        corpus=row.corpus or "lab",
        benign=benign,
        complete=row.verdict == "ok",
        synthetic=row.synthetic,
        t_start_wall_ns=start,
        t_end_wall_ns=end,
        content_sha256=row.content_sha256 or row.logs_sha256,
        decoded_sha256=decoded_sha256,
        windows=of_phase,
        source_rows=row.rows,
        logs=tuple(sorted(row.log_bytes)),
        signature=windows.signature if windows is not None and of_phase else (),
        channels=channels,
    )
