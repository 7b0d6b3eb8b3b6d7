"""The registry of a store that an importer fills: merged with what is there, and written.

What does not belong here: reading tables and writing episodes.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import tomlkit

from rlstir_core.atomic import write_text
from rlstir_core.contract.registry import Field, Registry, Source, load_registry
from rlstir_core.errors import RegistryError, StoreError


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
