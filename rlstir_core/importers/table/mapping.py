"""Mappings: the small TOML files that say what the columns of a foreign table mean (docs/mapping.md).

What does not belong here: reading tables and writing stores.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from rlstir_core.contract.registry import CLOCK_FIELDS, FieldKind, Scale, Vantage
from rlstir_core.errors import ConfigError
from rlstir_core.ids import is_safe

_REMEDY = "docs/mapping.md lists every key"


class KeyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an identifier comes from: a column (with a default for empty cells), or a constant."""

    column: str = ""
    constant: str = ""
    default: str = ""
    hash: bool = False  # keep the value apart but unreadable, where it would tell the label

    def __post_init__(self) -> None:
        if bool(self.column) == bool(self.constant):
            raise ConfigError(f"a key needs either a column or a constant, not both or none; {_REMEDY}")


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The identifiers of an episode."""

    episode: KeyRule | str
    host: KeyRule | str | None = None
    profile: KeyRule | str
    sample: KeyRule | str


class Time(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a row was taken: a fixed step, or a column of times."""

    step_s: float = 0.0
    order: str = ""  # with a step: the column that orders an episode's rows
    column: str = ""
    unit: Literal["ns", "us", "ms", "s", "iso"] = "s"
    since: Literal["epoch", "start"] = "epoch"

    def __post_init__(self) -> None:
        if bool(self.column) == (self.step_s > 0):
            raise ConfigError(f"[time] needs either step_s > 0 or a column of times; {_REMEDY}")
        if self.order and self.column:
            raise ConfigError(f"[time] order {self.order!r} goes with step_s only, times order themselves; {_REMEDY}")
        if self.unit == "iso" and self.since == "start":
            raise ConfigError(f"[time] unit 'iso' means dates, so since must be 'epoch'; {_REMEDY}")


class LabelRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which phase a row belongs to."""

    column: str = ""
    constant: str = ""
    names: dict[str, str] = {}  # a value of the column -> the phase's name
    phases: tuple[str, ...] = ()  # their order; the values found, sorted, where it is empty
    benign: tuple[str, ...] = ()  # phases that are no attack
    attack: bool = True  # false: no phase is an attack, so nothing is told of attacks or alarms
    onset: str = ""

    def __post_init__(self) -> None:
        if bool(self.column) == bool(self.constant):
            raise ConfigError(f"[labels] needs either a column or a constant; {_REMEDY}")
        if not self.attack and (self.benign or self.onset):
            raise ConfigError(f"[labels] attack = false leaves no attack for benign or onset to speak of; {_REMEDY}")


class WindowRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How episodes are cut. A bin is a row's step where bin_hz is not given."""

    whole: bool = True
    bin_hz: float = 0.0
    length_s: float = 10.0
    stride_s: float = 5.0
    prefixes_steps: tuple[int, ...] = ()
    prefixes_s: tuple[float, ...] = ()
    selected_by: Literal["window", "prefix_mean"] = "window"


class SourceRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What holds for all channels of a source."""

    vantage: Vantage = "host"
    count: bool = False
    rate_hz: float = 0.0


class ChannelRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Channels by column name or glob; a column belongs to the first rule that matches it."""

    columns: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    nulls: tuple[str, ...] | None = None  # words that mean "no value" in these columns, instead of the mapping's
    source: str = "table"
    kind: FieldKind = "gauge"
    scale: Scale = "linear"
    quantity: str = "unknown"
    unit: str = ""
    direction: Literal["none", "in", "out"] = "none"


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole mapping."""

    name: str
    delimiter: str = ""  # of a CSV file; found from the header where it is empty
    encoding: str = ""  # of a text file; UTF-8, or UTF-16 where the bytes say so
    decimal: str = "."  # the decimal mark of a CSV's numbers
    nulls: tuple[str, ...] | None = None  # words that mean "no value" in channel columns; the usual ones where absent
    keys: Keys
    time: Time
    labels: LabelRule
    windowing: WindowRule = WindowRule()
    sources: dict[str, SourceRule] = {}
    channels: tuple[ChannelRule, ...]

    def __post_init__(self) -> None:
        named = (self.name, *self.sources, *(rule.source for rule in self.channels), *self.labels.phases)
        for name in (*named, *self.labels.names.values()):
            if not is_safe(name) or name in CLOCK_FIELDS:
                raise ConfigError(f"the mapping's name {name[:80]!r} is not a safe identifier; rename it")
        if self.decimal not in (".", ","):
            raise ConfigError(f"decimal {self.decimal[:8]!r} is neither '.' nor ','; {_REMEDY}")
        if len(self.delimiter) > 1 or self.delimiter in ('"', "\n", "\r"):
            raise ConfigError(f"delimiter {self.delimiter[:8]!r} is not one character; {_REMEDY}")
        _check_encoding(self.encoding)
        if not self.channels:
            raise ConfigError(f"the mapping has no [[channels]], so nothing would be imported; {_REMEDY}")
        if any(rule.kind == "scaler" for rule in self.channels):
            raise ConfigError(f"kind 'scaler' is not for tables; use counter, gauge, delta or event; {_REMEDY}")

    @property
    def key_columns(self) -> set[str]:
        """Columns whose values are text whatever they look like."""
        keys = (key(self.keys.episode), key(self.keys.profile), key(self.keys.sample))
        host = key(self.keys.host) if self.keys.host is not None else None
        found = {k.column for k in (*keys, *((host,) if host else ()))}
        return (found | {self.labels.column}) - {""}


def _check_encoding(name: str) -> None:
    try:
        "".encode(name or "utf-8")
    except (LookupError, ValueError):
        raise ConfigError(f"encoding {name[:40]!r} is none that Python knows; write utf-8, cp1252, …") from None


def key(value: KeyRule | str) -> KeyRule:
    """A key in its long form: a plain text names a column."""
    return KeyRule(column=value) if isinstance(value, str) else value


def load_mapping(mapping: str | Path) -> Mapping:
    """The mapping of that name that ships with RL-STIR, or the one in a TOML file; ConfigError otherwise."""
    folder = resources.files("rlstir_core.importers") / "mappings"
    shipped = sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))
    if str(mapping) in shipped:
        return parse_mapping((folder / f"{mapping}.toml").read_bytes(), str(mapping))
    path = Path(mapping)
    if not path.is_file():
        raise ConfigError(
            f"mapping {str(mapping)!r} is neither a TOML file nor one of {', '.join(shipped)}; "
            "write one as docs/mapping.md shows"
        )
    return parse_mapping(path.read_bytes(), str(path))


def parse_mapping(raw: bytes, where: str) -> Mapping:
    """A mapping from the bytes of a TOML file."""
    try:
        return msgspec.convert(tomllib.loads(raw.decode("utf-8")), Mapping)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, ConfigError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, ConfigError) else error
        remedy = "" if _REMEDY in str(cause) else f"; {_REMEDY}"
        raise ConfigError(f"mapping {where}: {cause}{remedy}") from None
