"""The registry as data: the packaged one, stores' own ones, and those that make no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from rlstir_core.contract.registry import MODES, Registry, default_registry, load_registry, parse_registry
from rlstir_core.errors import RegistryError

Change = Callable[[dict[str, Any]], object]


def small() -> dict[str, Any]:
    return {
        "name": "tiny",
        "phases": ["calm", "attack"],
        "attack_phases": ["attack"],
        "profiles": ["worm"],
        "sources": {
            "sensor": {
                "vantage": "host",
                "rate_hz": 1.0,
                "fields": {"level": {"kind": "gauge"}, "n": {"kind": "counter"}},
            }
        },
    }


def parse(tree: dict[str, Any]) -> Registry:
    return parse_registry(tomlkit.dumps(tree).encode())


def test_the_packaged_registry_is_what_the_design_says() -> None:
    registry = default_registry()
    assert registry.phases == ("clean", "armed", "infecting", "infected_running", "dormant")
    assert len(registry.profiles) == 6 and list(registry.sources) == ["proc", "perf", "qmp", "netflow", "guest"]
    assert len(registry.channels) == len({channel.name for channel in registry.channels}) == 33
    assert set(MODES["realistic"]) == {"network", "host"}
    n_seen = {mode: sum(c.vantage in vantages for c in registry.channels) for mode, vantages in MODES.items()}
    assert n_seen == {"realistic": 21, "oracle": 33}


def test_scalers_and_known_text_fields_are_no_channels_and_rows_of_events_are() -> None:
    names = {channel.name for channel in default_registry().channels}
    assert "perf.time_enabled_ns" not in names and "netflow.src" not in names and "netflow.rows" in names


def test_a_rate_says_so_in_its_unit() -> None:
    units = {channel.name: channel.unit for channel in default_registry().channels}
    assert (
        units["proc.rchar"] == "bytes/s" and units["netflow.bytes"] == "bytes/s" and units["proc.rss_bytes"] == "bytes"
    )


def test_a_store_brings_its_own_registry(tmp_path: Path) -> None:
    assert load_registry(tmp_path) is load_registry() is default_registry()
    (tmp_path / "registry.toml").write_text(tomlkit.dumps(small()))
    assert load_registry(tmp_path).name == "tiny"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(name="other"),
        lambda t: t.update(phases=["attack", "calm"]),
        lambda t: t["profiles"].append("bot"),
        lambda t: t["sources"]["sensor"].update(vantage="guest"),
        lambda t: t["sources"]["sensor"].update(rate_hz=2.0),
        lambda t: t["sources"]["sensor"]["fields"]["level"].update(scale="linear"),
        lambda t: t["sources"]["sensor"]["fields"]["level"].update(unit="W"),
        lambda t: t.update(windowing={"stride_s": 2.5}),
    ],
)
def test_any_change_changes_the_hash(change: Change) -> None:
    tree = small()
    before = parse(tree).sha256
    change(tree)
    assert parse(tree).sha256 != before == parse(small()).sha256


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.update(phases=["calm"]), "at least two phases"),
        (lambda t: t.update(phases=["calm", "attack", "calm"]), "at least two phases, each named once"),
        (lambda t: t.update(phases=["calm", "../x"]), "is not a safe identifier"),
        (lambda t: t.update(profiles=["a|b"]), "is not a safe identifier"),
        (lambda t: t.update(profiles=[]), "at least one source and one profile"),
        (lambda t: t.update(sources={}), "at least one source and one profile"),
        (lambda t: t.update(attack_phases=["boom"]), "'boom' is not among its phases"),
        (lambda t: t.update(onset_phase="boom"), "'boom' is not among its phases"),
        (lambda t: t.update(colour="red"), "cannot be read"),
        (lambda t: t.pop("name"), "cannot be read"),
        (lambda t: t["sources"]["sensor"].update(rate_hz=0), "rate_hz"),
        (lambda t: t["sources"]["sensor"].update(rate_hz=float("nan")), "rate_hz"),
        (lambda t: t["sources"]["sensor"].update(vantage="moon"), "cannot be read"),
        (lambda t: t["sources"]["sensor"].update(time_enabled="n"), "must both name fields of kind scaler"),
        (lambda t: t["sources"]["sensor"]["fields"].update(t_wall_ns={"kind": "gauge"}), "is no clock"),
        (lambda t: t["sources"]["sensor"]["fields"].update({"a b": {"kind": "gauge"}}), "use a safe name"),
        (lambda t: t["sources"]["sensor"].update(count=True, fields={"rows": {"kind": "event"}}), "'rows'"),
        (lambda t: t["sources"]["sensor"]["fields"]["level"].update(kind="vibe"), "cannot be read"),
        (lambda t: t["sources"]["sensor"].update(fields={}), "makes 0 channels"),
        (
            lambda t: t["sources"]["sensor"].update(fields={f"f{i}": {"kind": "gauge"} for i in range(600)}),
            "makes 600 channels",
        ),
        (lambda t: t.update(windowing={"bin_hz": 0}), "bin_hz"),
        (lambda t: t.update(windowing={"bin_hz": float("nan")}), "bin_hz"),
        (lambda t: t.update(windowing={"length_s": 0.1}), "a window holds 2 to 100000 bins"),
        (lambda t: t.update(windowing={"length_s": float("inf")}), "a window holds 2 to 100000 bins"),
        (lambda t: t.update(windowing={"stride_s": 0}), "moves by 1 to 100000"),
        (lambda t: t.update(windowing={"stride_s": float("nan")}), "moves by 1 to 100000"),
        (lambda t: t.update(windowing={"prefixes_s": [5.0, -1.0]}), "prefixes_s"),
        (lambda t: t.update(windowing={"prefixes_s": [float("nan")]}), "prefixes_s"),
        (
            lambda t: t["sources"].update(
                {
                    "a.b": {"vantage": "host", "rate_hz": 1.0, "fields": {"c": {"kind": "gauge"}}},
                    "a": {"vantage": "host", "rate_hz": 1.0, "fields": {"b.c": {"kind": "gauge"}}},
                }
            ),
            "'a.b.c' twice",
        ),
    ],
)
def test_a_registry_that_makes_no_sense_is_refused_with_a_sentence(change: Change, says: str) -> None:
    tree = small()
    change(tree)
    with pytest.raises(RegistryError, match=says) as caught:
        parse(tree)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@pytest.mark.parametrize("raw", [b"", b"\xff\xfe", b"phases = [", b"name = 1", b"name = 'x'\nname = 'y'"])
def test_bytes_that_are_no_registry_are_refused_with_the_file(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "registry.toml").write_bytes(raw)
    with pytest.raises(RegistryError, match=r"registry\.toml"):
        load_registry(tmp_path)
