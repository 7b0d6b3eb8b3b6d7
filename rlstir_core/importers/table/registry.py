"""The registry of a store that an importer fills: made from the runs, merged with what is there, and written.

What does not belong here: reading tables and writing episodes.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import tomlkit

from rlstir_core.atomic import write_text
from rlstir_core.contract.registry import Field, Registry, Source, Windowing, load_registry
from rlstir_core.errors import ConfigError, RegistryError, StoreError
from rlstir_core.importers.table.columns import TableChannel
from rlstir_core.importers.table.mapping import Mapping
from rlstir_core.importers.table.runs import Run, TablePart, placed
from rlstir_core.importers.table.times import NS

_STAND_INS = ("other", "rest")  # a registry has at least two phases
_SAME_STEP = 0.1  # two tables whose rows are this much (of a step) apart from each other's share one bin


def store_registry(store: Path) -> Registry | None:
    """The registry of an existing store; None for a store yet to be made."""
    if (store / "registry.toml").exists():
        return load_registry(store)
    if (store / "index.jsonl").exists():
        raise StoreError(
            f"store {store} holds episodes but no registry.toml of its own, so a table cannot extend it; "
            "import into another folder"
        )
    return None


def registry_of(rules: Mapping, parts: list[TablePart], runs: list[Run], earlier: Registry | None) -> Registry:
    """The registry that these runs need, merged with the store's `earlier` one."""
    found = sorted({phase for run in runs for phase in run.phases if phase is not None})
    phases = rules.labels.phases or tuple(found)
    if not phases:
        raise StoreError("no row of the table has a phase; fill the label column")
    if unknown := [phase for phase in found if phase not in phases]:
        raise ConfigError(f"the table has phase {unknown[0]!r}, which [labels] phases does not list; add it there")
    known = {*phases, *(earlier.phases if earlier else ())}
    if lost := [name for name in (*rules.labels.benign, rules.labels.onset) if name and name not in known]:
        raise ConfigError(f"[labels] names {lost[0]!r}, which is no phase of the table; known: {', '.join(phases)}")
    steps = [placed(run, rules)[1] for run in runs]
    step_s = _usual_step(float(np.median(steps)) / NS, rules, earlier)
    sources: dict[str, Source] = {}
    for part in parts:
        for channel in part.channels.found:
            _add_channel(sources, channel, rules, step_s)
    made = Registry(
        name=rules.name,
        phases=phases if len(phases) > 1 else (*phases, _STAND_INS[phases[0] == _STAND_INS[0]]),
        attack_phases=tuple(phase for phase in phases if rules.labels.attack and phase not in rules.labels.benign),
        onset_phase=rules.labels.onset,
        profiles=tuple(sorted({run.profile for run in runs})),
        windowing=_windowing(rules, runs, steps, step_s),
        sources=sources,
    )
    return _without_stand_in(made if earlier is None else merged(earlier, made), rules)


def _without_stand_in(registry: Registry, rules: Mapping) -> Registry:
    """The registry without the phase that stood beside a single one; a real one is an attack or said to be benign."""
    real = tuple(
        phase
        for phase in registry.phases
        if phase not in _STAND_INS or phase in registry.attack_phases or phase in rules.labels.benign
    )
    return msgspec.structs.replace(registry, phases=real) if len(real) > 1 else registry


def _usual_step(step_s: float, rules: Mapping, earlier: Registry | None) -> float:
    """The step of the rows; the store's own where this table's is about the same and the mapping leaves it open."""
    if earlier is not None and not rules.windowing.bin_hz:
        before = 1 / earlier.windowing.bin_hz
        if abs(step_s - before) <= _SAME_STEP * before:
            return before
    return step_s


def _windowing(rules: Mapping, runs: list[Run], steps: list[int], step_s: float) -> Windowing:
    rule = rules.windowing
    bin_hz = rule.bin_hz or round(1 / step_s, 9)
    length_s, stride_s = rule.length_s, rule.stride_s
    if rule.whole:
        longest = 0
        for run, step in zip(runs, steps, strict=True):
            t, _ = placed(run, rules)
            longest = max(longest, int(t[-1] - t[0]) + step)
        length_s = stride_s = max(round(longest / NS, 9), 2 / bin_hz)
    prefixes = rule.prefixes_s or tuple(round(n * step_s, 9) for n in rule.prefixes_steps)
    return Windowing(
        bin_hz=bin_hz,
        length_s=length_s,
        stride_s=stride_s,
        whole=rule.whole,
        prefixes_s=prefixes,
        selected_by=rule.selected_by,
    )


def _add_channel(sources: dict[str, Source], channel: TableChannel, rules: Mapping, step_s: float) -> None:
    rule, given = channel.rule, rules.sources.get(channel.rule.source)
    source = sources.get(rule.source)
    if source is None:
        rate = (given.rate_hz if given else 0) or round(1 / step_s, 9)
        source = sources[rule.source] = Source(
            vantage=given.vantage if given else "host", rate_hz=rate, count=bool(given and given.count), fields={}
        )
    kind = "int" if channel.values.dtype.kind == "i" else "float"
    before = source.fields.get(channel.name)
    if before is not None and before.type == "float":
        kind = "float"
    source.fields[channel.name] = Field(
        kind=rule.kind,
        type="float" if kind == "float" else "int",
        quantity=rule.quantity,
        unit=rule.unit,
        scale=rule.scale,
        direction=rule.direction,
    )


def merged(old: Registry, new: Registry) -> Registry:
    """One registry for both; RegistryError where they contradict each other.

    Phases, profiles, sources and channels are united; integers widen to floats; a window that is the whole
    episode becomes as long as the longest.
    """
    if old.name != new.name:
        _refuse(f"the store was made with mapping {old.name!r}, not {new.name!r}")
    if old.onset_phase != new.onset_phase:
        _refuse(f"the store's onset phase is {old.onset_phase!r}, not {new.onset_phase!r}")
    shared = set(old.phases) & set(new.phases)
    for phase in sorted(shared):
        if (phase in old.attack_phases) != (phase in new.attack_phases):
            _refuse(f"phase {phase!r} is an attack on one side only")
    one, two = old.windowing, new.windowing
    length = max(one.length_s, two.length_s) if one.whole and two.whole else two.length_s
    stride = max(one.stride_s, two.stride_s) if one.whole and two.whole else two.stride_s
    windowing = msgspec.structs.replace(two, length_s=length, stride_s=stride)
    if msgspec.structs.replace(one, length_s=length, stride_s=stride) != windowing:
        _refuse(f"the store's windowing is {one}, not {two}"[:300])
    if not one.whole and one != two:
        _refuse(f"the store's windows are {one.length_s} s long, not {two.length_s} s")
    sources = dict(old.sources)
    for name, source in new.sources.items():
        sources[name] = _merged_source(name, sources[name], source) if name in sources else source
    attack = {*old.attack_phases, *new.attack_phases}
    phases = _united(old.phases, new.phases)
    return msgspec.structs.replace(
        old,
        phases=phases,
        attack_phases=tuple(phase for phase in phases if phase in attack),
        profiles=_united(old.profiles, new.profiles),
        windowing=windowing,
        sources=sources,
    )


def write_registry(store: Path, registry: Registry) -> None:
    """Writes `<store>/registry.toml`, readable and in a fixed order."""
    document = tomlkit.document()
    document.add(tomlkit.comment("Made by `rlstir import table`; docs/registry.md explains every key."))
    plain = msgspec.to_builtins(registry)
    windowing, sources = plain.pop("windowing"), plain.pop("sources")
    for name, value in plain.items():
        document.add(name, tomlkit.item(value))
    document.add("windowing", tomlkit.item(windowing))
    tables = tomlkit.table(is_super_table=True)
    for name, source in sources.items():
        fields = source.pop("fields")
        table = tomlkit.table()
        for option, value in source.items():
            table.add(option, tomlkit.item(value))
        listed = tomlkit.table()
        for field, values in fields.items():
            inline = tomlkit.inline_table()
            inline.update({k: v for k, v in values.items() if v != ""})
            listed.add(field, inline)
        table.add("fields", listed)
        tables.add(name, table)
    document.add("sources", tables)
    write_text(store / "registry.toml", tomlkit.dumps(document))
    if load_registry(store) != registry:
        raise RegistryError(f"{store / 'registry.toml'} does not say what was meant; report the mapping that did it")


def _merged_source(name: str, old: Source, new: Source) -> Source:
    bare = msgspec.structs.replace(old, fields={}, rate_hz=1.0)
    if bare != msgspec.structs.replace(new, fields={}, rate_hz=1.0):
        _refuse(f"source {name!r} has another vantage or count")
    fields = dict(old.fields)
    for field, value in new.fields.items():
        fields[field] = _merged_field(f"{name}.{field}", fields[field], value) if field in fields else value
    return msgspec.structs.replace(old, fields=fields)


def _merged_field(name: str, old: Field, new: Field) -> Field:
    wide = msgspec.structs.replace(old, type="float" if "float" in (old.type, new.type) else "int")
    if wide != msgspec.structs.replace(new, type=wide.type):
        _refuse(f"channel {name!r} has another kind, unit or scale")
    return wide


def _united(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*old, *new)))


def _refuse(what: str) -> None:
    raise RegistryError(f"{what}; import this table into a store of its own")
