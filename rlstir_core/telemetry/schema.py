"""The feature schema: which channels, windows, normaliser, statistics and columns, and the hash of it all.

Features and checkpoints carry this hash; two things made under different schemas never meet. What does not
belong here: computing any of the columns.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import msgspec

from rlstir_core.atomic import canonical_sha256, sweep, write_json
from rlstir_core.contract.registry import Channel, Registry, Windowing
from rlstir_core.errors import ConfigError, UpstreamMissing
from rlstir_core.remedies import how_to_make
from rlstir_core.results.versions import version
from rlstir_core.telemetry.normalise import NORMALISERS, normalised_names
from rlstir_core.telemetry.summary import OF_PARTS, STATISTICS

_ALL_PAIRS_UP_TO = 12  # counters of one source; beyond, only pairs of one quantity, or columns grow as the square
_MAX_RATIOS = 128


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """One row of numbers that is summarised per window, and the channels it is made from."""

    name: str
    channels: tuple[str, ...]


class FeatureSchema(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decides what a feature column or a tensor row means."""

    version: int  # of stage `schema`: raising it makes another schema, and all that carries its hash
    registry: str
    registry_sha256: str
    phases: tuple[str, ...]
    attack_phases: tuple[str, ...]
    onset_phase: str
    windowing: Windowing
    normalise: str
    statistics: tuple[str, ...] = STATISTICS
    channels: tuple[Channel, ...]
    ratios: tuple[tuple[str, str], ...]

    @property
    def channel_names(self) -> tuple[str, ...]:
        return tuple(channel.name for channel in self.channels)

    @property
    def series(self) -> tuple[Series, ...]:
        """Levels, then normalised levels, then log-ratios: the order of `features.episode_series`."""
        names = self.channel_names
        normalised = normalised_names(self.normalise, names)
        return (
            *(Series(name=name, channels=(name,)) for name in names),
            *(Series(name=name, channels=(name.split("~")[0],)) for name in normalised),
            *(Series(name=f"{a}/{b}", channels=(a, b)) for a, b in self.ratios),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """Feature columns: `<series>|<statistic>`, then `<channel>|missing`."""
        return (
            *(f"{series.name}|{statistic}" for series in self.series for statistic in self.statistics),
            *(f"{name}|missing" for name in self.channel_names),
        )

    @property
    def sha256(self) -> str:
        return canonical_sha256(self)

    def restricted(self, channels: tuple[str, ...]) -> FeatureSchema:
        """The schema of `channels` alone: its columns are `columns_of(channels)`, in the same order."""
        allowed = set(channels)
        return msgspec.structs.replace(
            self,
            channels=tuple(channel for channel in self.channels if channel.name in allowed),
            ratios=tuple(pair for pair in self.ratios if allowed.issuperset(pair)),
        )

    def columns_of(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """The columns that are made from `channels` alone."""
        allowed = set(channels)
        return (
            *(
                f"{series.name}|{statistic}"
                for series in self.series
                if allowed.issuperset(series.channels)
                for statistic in self.statistics
            ),
            *(f"{name}|missing" for name in self.channel_names if name in allowed),
        )


def make_schema(registry: Registry, normalise: str = "ewma") -> FeatureSchema:
    """The schema that `registry` and the chosen normaliser give.

    A window that is the whole run has no past before it to be normalised by: there the normaliser is `none`. Where no
    run is judged by its first part, the same part of each is the same time, and parts have statistics of their own.
    """
    if normalise not in NORMALISERS:
        raise ConfigError(f"normalise is {normalise!r}; choose one of {', '.join(NORMALISERS)}")
    return FeatureSchema(
        version=version("schema"),
        registry=registry.name,
        registry_sha256=registry.sha256,
        phases=registry.phases,
        attack_phases=registry.attack_phases,
        onset_phase=registry.onset_phase,
        windowing=registry.windowing,
        normalise="none" if registry.windowing.whole else normalise,
        statistics=STATISTICS + OF_PARTS
        if registry.windowing.whole and not registry.windowing.prefixes_s
        else STATISTICS,
        channels=registry.channels,
        ratios=_ratio_pairs(registry.channels),
    )


def write_schema(path: Path, schema: FeatureSchema) -> None:
    """Writes the schema with its columns and its hash."""
    sweep(path.parent, path.name)
    write_json(
        path,
        {**msgspec.to_builtins(schema), "columns": list(schema.columns), "sha256": schema.sha256},
    )


def read_schema(path: Path) -> FeatureSchema:
    """The schema that `write_schema` wrote."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=FeatureSchema)
    except FileNotFoundError:
        raise UpstreamMissing(f"{path} is missing; make it with: {how_to_make('feature_schema')}") from None
    except msgspec.DecodeError as error:
        raise UpstreamMissing(
            f"{path} is not a feature schema ({error}); make it again with: {how_to_make('feature_schema')}"
        ) from None


def _ratio_pairs(channels: tuple[Channel, ...]) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for source in dict.fromkeys(channel.source for channel in channels):
        counters = [
            c for c in channels if c.source == source and c.scale == "log" and c.kind in ("counter", "delta", "event")
        ]
        for a, b in combinations(counters, 2):
            if len(counters) <= _ALL_PAIRS_UP_TO or (a.quantity == b.quantity != "unknown"):
                pairs.append((a.name, b.name))
    return tuple(pairs[:_MAX_RATIOS])
