"""The registry: what a store records (sources, channels, phases, profiles) and how it is cut into windows.

It is data: the packaged `registry.toml` unless the store brings its own. Its hash is part of the schema
hash, so features and checkpoints of different registries never mix. What does not belong here: reading
episodes (`episodes/`) and computing channels (`telemetry/`).
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from rlstir_core.atomic import canonical_sha256
from rlstir_core.errors import RegistryError
from rlstir_core.ids import is_safe

Vantage = Literal["network", "host", "hypervisor", "guest"]
# counter: cumulative, a fall is a reset.   gauge: a level.   delta: an amount since the row before.
# event: an amount per event, so a time without rows is zero.   scaler: only scales the counters beside it.
FieldKind = Literal["counter", "gauge", "delta", "event", "scaler"]
Scale = Literal["log", "linear"]

MODES: dict[str, tuple[str, ...]] = {
    "realistic": ("network", "host"),
    "oracle": ("network", "host", "hypervisor", "guest"),
}
PRIMARY_MODE = "realistic"  # the mode that verdicts speak of
CLOCK_FIELDS = ("t_wall_ns", "t_mono_ns")
_MAX_CHANNELS = 512


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One numeric field of a source's rows; every kind but `scaler` makes a channel `<source>.<field>`."""

    kind: FieldKind
    type: Literal["int", "float"] = "int"
    quantity: str = "unknown"
    unit: str = ""
    scale: Scale = "log"
    direction: Literal["none", "in", "out"] = "none"
    required: bool = False


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One telemetry stream: the member `<name>.jsonl`."""

    vantage: Vantage
    rate_hz: float
    required: bool = False
    count: bool = False  # rows are events: a channel `<source>.rows` counts them
    time_enabled: str = ""  # the two scalers of multiplexed counters (perf_event_open(2))
    time_running: str = ""
    fields: dict[str, Field]
    ignored: tuple[str, ...] = ()  # known fields that are no channel (addresses, ports, flags)


class Windowing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an episode's time is cut. With `whole` the window is the episode; `prefixes_s` are the lengths seen early.

    `selected_by` says what training stops on and what chooses a model: the window, or the mean over all prefixes.
    """

    bin_hz: float = 10.0
    length_s: float = 10.0
    stride_s: float = 5.0
    whole: bool = False
    prefixes_s: tuple[float, ...] = ()
    selected_by: Literal["window", "prefix_mean"] = "window"


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """One numeric series made from a source; a row of the tensors."""

    name: str
    source: str
    field: str
    kind: FieldKind
    quantity: str
    unit: str
    scale: Scale
    direction: str
    vantage: Vantage


class Registry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything RL-STIR must know of a store before it reads its first episode."""

    version: int = 1
    name: str
    phases: tuple[str, ...]
    attack_phases: tuple[str, ...]
    onset_phase: str = ""  # time to detect counts from the first label of this phase
    profiles: tuple[str, ...]
    windowing: Windowing = Windowing()
    sources: dict[str, Source]

    def __post_init__(self) -> None:
        for name in (*self.phases, *self.profiles, *self.sources):
            if not is_safe(name):
                raise RegistryError(f"the registry's name {name[:80]!r} is not a safe identifier; rename it")
        if len(self.phases) < 2 or len(set(self.phases)) != len(self.phases):
            raise RegistryError("the registry needs at least two phases, each named once; mend [phases]")
        for name in (*self.attack_phases, *((self.onset_phase,) if self.onset_phase else ())):
            if name not in self.phases:
                raise RegistryError(f"the registry's attack phase {name!r} is not among its phases; add it there")
        if not self.sources or not self.profiles:
            raise RegistryError("the registry needs at least one source and one profile; add them")
        _check_windowing(self.windowing)
        for name, source in self.sources.items():
            _check_source(name, source)
        if not 0 < len(self.channels) <= _MAX_CHANNELS:
            raise RegistryError(f"the registry makes {len(self.channels)} channels; keep between 1 and {_MAX_CHANNELS}")
        name, times = Counter(channel.name for channel in self.channels).most_common(1)[0]
        if times > 1:
            raise RegistryError(f"the registry makes the channel {name!r} twice; rename a source or a field")

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Every channel, in the registry's order."""
        found = []
        for source_name, source in self.sources.items():
            for field_name, field in source.fields.items():
                if field.kind != "scaler":
                    found.append(_channel(source_name, field_name, source, field))
            if source.count:
                rows = Field(kind="event", type="float", quantity="rows", unit="1", required=False)
                found.append(_channel(source_name, "rows", source, rows))
        return tuple(found)

    @property
    def sha256(self) -> str:
        """The hash that stands for this registry in schema hashes."""
        return canonical_sha256(self)


def one_sided(phases: Sequence[str], attack_phases: Sequence[str]) -> str:
    """Why attack cannot be told from the rest where these are the phases; empty where it can."""
    if not attack_phases:
        return "the registry names no attack phase"
    if set(phases) <= set(attack_phases):
        return "every phase of the registry is an attack phase, so there is no rest to tell attack from"
    return ""


def load_registry(store: Path | None = None) -> Registry:
    """The store's own registry, or the packaged default; RegistryError when it cannot be read."""
    path = store / "registry.toml" if store is not None else None
    if path is None or not path.exists():
        return default_registry()
    try:
        return parse_registry(path.read_bytes())
    except RegistryError as error:
        raise RegistryError(f"{path}: {error}") from error


def parse_registry(raw: bytes) -> Registry:
    """A registry from the bytes of a TOML file."""
    try:
        return msgspec.convert(tomllib.loads(raw.decode("utf-8")), Registry)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        cause = error.__cause__
        if isinstance(cause, RegistryError):
            raise cause from None
        raise RegistryError(f"the registry cannot be read: {error}; see docs/registry.md for its form") from None


@functools.cache
def default_registry() -> Registry:
    """The packaged registry: the five sources, six profiles and five phases of the lab."""
    return parse_registry(resources.files("rlstir_core.contract").joinpath("registry.toml").read_bytes())


def _channel(source_name: str, field_name: str, source: Source, field: Field) -> Channel:
    return Channel(
        name=f"{source_name}.{field_name}",
        source=source_name,
        field=field_name,
        kind=field.kind,
        quantity=field.quantity,
        unit=f"{field.unit}/s" if field.kind in ("counter", "event") else field.unit,
        scale=field.scale,
        direction=field.direction,
        vantage=source.vantage,
    )


def _check_source(name: str, source: Source) -> None:
    if not 0.001 <= source.rate_hz <= 10_000:
        raise RegistryError(f"source {name!r} has rate_hz {source.rate_hz}; keep it between 0.001 and 10000")
    scalers = (source.time_enabled, source.time_running)
    if any(scalers) and not all(s in source.fields and source.fields[s].kind == "scaler" for s in scalers):
        raise RegistryError(f"source {name!r}: time_enabled and time_running must both name fields of kind scaler")
    for field in (*source.fields, *source.ignored):
        if not is_safe(field) or field in CLOCK_FIELDS or (source.count and field == "rows"):
            raise RegistryError(f"source {name!r} has a field {field[:80]!r}; use a safe name that is no clock")


def _check_windowing(windowing: Windowing) -> None:
    if not 0.001 <= windowing.bin_hz <= 1000:
        raise RegistryError(f"windowing.bin_hz is {windowing.bin_hz}; keep it between 0.001 and 1000")
    bins = windowing.length_s * windowing.bin_hz
    if not 2 <= bins <= 100_000 or not 1 <= windowing.stride_s * windowing.bin_hz <= 100_000:
        raise RegistryError("a window holds 2 to 100000 bins and moves by 1 to 100000; change windowing")
    if not all(0 < seconds < math.inf for seconds in windowing.prefixes_s):
        raise RegistryError("windowing.prefixes_s must be positive seconds; remove the others")
    if windowing.selected_by == "prefix_mean" and not (windowing.whole and windowing.prefixes_s):
        raise RegistryError(
            "windowing.selected_by is 'prefix_mean', which takes whole = true and prefixes_s; add them, or remove it"
        )
