"""The digest of an episode: some numbers that say how it was recorded, what its channels and logs hold, how it scores.

Features are read file by file, and of logs only what was counted when they were made, so memory grows with the
episodes asked for. What does not belong here: comparing digests (`compare.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Floats
from rlstir_core.contract.registry import Registry
from rlstir_core.episodes.validation.validate import validated
from rlstir_core.episodes.validation.verdicts import ValidationRow
from rlstir_core.errors import SchemaMismatch, UpstreamMissing
from rlstir_core.hostlogs.store import read_counts
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.telemetry.feature_reader import FeatureReader
from rlstir_core.telemetry.schema import FeatureSchema
from rlstir_core.telemetry.store import tensor_input_sha256

# E episodes, C columns

_Logs = tuple[dict[tuple[str, str], float], dict[str, float], dict[str, float]]  # rates, templates, words
Terms = Sequence[Mapping[str, float]]  # of each episode, the share of its log rows by template, or of words by word
_OF_CHANNEL = (("level", "median"), ("spread", "std"), ("missing", "missing"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Digests:
    """Digests of episodes of one host."""

    episodes: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]  # kind and name
    x_EC: Floats  # NaN where an episode has no such number
    missing: tuple[frozenset[str], ...]  # sources, by episode
    clock_s: Floats  # largest offset between two sampled sources, (E,)
    templates: Terms = ()
    words: Terms = ()

    def select(self, names: Sequence[str]) -> list[int]:
        """Rows of these episodes; those that were left out have none."""
        place = {name: at for at, name in enumerate(self.episodes)}
        return [place[name] for name in names if name in place]


class DigestReader:
    """Makes digests of one store, a host at a time."""

    def __init__(
        self, layout: Layout, registry: Registry, schema: FeatureSchema, scores: Mapping[tuple[str, str], float]
    ) -> None:
        self._layout, self._scores, self._schema = layout, scores, schema
        self._sampled = {name for name, source in registry.sources.items() if not source.count}
        self._schema_sha256 = schema.sha256
        self._kinds = [(kind, name) for name in schema.channel_names for kind, _ in _OF_CHANNEL]
        wanted = [f"{name}|{statistic}" for name in schema.channel_names for _, statistic in _OF_CHANNEL]
        self._reader = FeatureReader(layout, wanted)

    def read(self, host: str, rows: Sequence[ValidationRow], *, verdicts_only: bool = False) -> Digests:
        """Digests of these episodes of `host`, in their order, but for those whose features are not there.

        With `verdicts_only` neither features nor logs are opened, and nothing is left out.
        """
        if verdicts_only:
            channels = {row.episode_id: np.full(len(self._kinds), np.nan) for row in rows}
            kept = list(rows)
            logs: list[_Logs] = [({}, {}, {})] * len(kept)
        else:
            with holding(self._layout.host_lock(host), shared=True):
                channels = self._channels(host, rows)
                kept = [row for row in rows if row.episode_id in channels]
                logs = [self._logs(host, row) for row in kept]
        tables: list[dict[tuple[str, str], float]] = []
        for row, (log, _, _) in zip(kept, logs, strict=True):
            score = self._scores.get((host, row.episode_id))
            tables.append(
                {
                    **self._recording(row),
                    **log,
                    **({("score", "mean attack probability"): score} if score is not None else {}),
                }
            )
        names = sorted({column for table in tables for column in table})
        # no reason, no missing source and no row of a channel is a nought; a number that is not there is none
        rest = np.array(
            [[table.get(column, np.nan if column[0] == "score" else 0.0) for column in names] for table in tables]
        ).reshape(len(kept), len(names))
        for at, column in enumerate(names):
            if column in _MAYBE_NONE:
                rest[:, at] = [table.get(column, np.nan) for table in tables]
        of_channels = np.array([channels[row.episode_id] for row in kept]).reshape(len(kept), len(self._kinds))
        return Digests(
            episodes=tuple(row.episode_id for row in kept),
            columns=(*self._kinds, *names),
            x_EC=np.concatenate([of_channels, rest], axis=1),
            missing=tuple(frozenset(row.missing_sources) for row in kept),
            clock_s=np.array([self._clock_s(row) for row in kept]),
            templates=[each[1] for each in logs],
            words=[each[2] for each in logs],
        )

    def _channels(self, host: str, rows: Sequence[ValidationRow]) -> dict[str, Floats]:
        """The columns of channels by episode; NaN where an episode has no telemetry, nothing where it was not read."""
        decoded = validated(self._layout, host)
        nothing = np.full(len(self._kinds), np.nan)
        found: dict[str, Floats] = {}
        for row in sorted(rows, key=lambda row: self._reader.place(host, row.episode_id)):
            name = row.episode_id
            if not row.usable or not any(row.rows.values()):
                found[name] = nothing
                continue
            try:
                key = tensor_input_sha256(decoded[name], self._schema_sha256)
                x_WF = self._reader.read(host, name, key).astype(np.float64)
            except (KeyError, UpstreamMissing, SchemaMismatch):
                continue
            known = np.isfinite(x_WF)
            n = known.sum(axis=0)
            sums = np.where(known, x_WF, 0.0).sum(axis=0)
            found[name] = np.where(n > 0, sums / np.maximum(n, 1), np.nan)
        return found

    def _clock_s(self, row: ValidationRow) -> float:
        offsets = [abs(ns) for source, ns in row.clock_offset_ns.items() if source in self._sampled]
        return max(offsets, default=0) / 1e9

    def _recording(self, row: ValidationRow) -> dict[tuple[str, str], float]:
        found = {
            ("recording", "not ok"): float(row.verdict != "ok"),
            ("recording", "rejected"): float(not row.usable),
            ("recording", "clock offset, s"): self._clock_s(row),
            **{("recording", f"reason {reason}"): 1.0 for reason in row.reasons},
            **{("recording", f"without {source}"): 1.0 for source in row.missing_sources},
        }
        if row.t_start_wall_ns is not None and row.t_end_wall_ns is not None:
            found["recording", "duration, s"] = (row.t_end_wall_ns - row.t_start_wall_ns) / 1e9
        return found

    def _logs(self, host: str, row: ValidationRow) -> _Logs:
        """Rows a minute by channel, and the shares of templates and of words."""
        if not row.usable or not row.log_bytes or row.t_start_wall_ns is None or row.t_end_wall_ns is None:
            return {}, {}, {}
        try:
            counts = read_counts(self._layout.log_events(host) / f"{row.episode_id}.parquet")
        except UpstreamMissing:
            return {}, {}, {}
        minutes = max((row.t_end_wall_ns - row.t_start_wall_ns) / 60e9, 1e-9)
        rates = {("log", f"{channel}, rows a minute"): n / minutes for channel, n in counts.rows.items()}
        words: dict[str, float] = {}
        for template, n in counts.templates.items():
            for word in set(counts.texts.get(template, "").split()):
                words[word] = words.get(word, 0.0) + n
        return rates, _shares(counts.templates), _shares(words)


_MAYBE_NONE = frozenset({("recording", "duration, s")})


def _shares(counts: Mapping[str, float]) -> dict[str, float]:
    total = sum(counts.values())
    return {name: n / total for name, n in counts.items()} if total else {}
