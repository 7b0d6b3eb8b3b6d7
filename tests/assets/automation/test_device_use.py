"""What is seen of a step's devices, by an NVML of the test's own; and that whoever queues for one asks for one."""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from rlstir_assets.executor import GPU_POOL
from rlstir_assets.gpu import use
from rlstir_assets.gpu.lease import VISIBLE
from rlstir_assets.gpu.use import ORDER, on_device, watched
from rlstir_assets.resources import Settings


class NVMLError(Exception): ...


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A driver with two devices, of which the second cannot tell its power."""
    made = ModuleType("pynvml")

    def power(handle: str) -> int:
        if handle == "GPU-b":
            raise NVMLError("not supported")
        return 150_000

    for name, value in {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByIndex": lambda index: ("GPU-a", "GPU-b")[index],
        "nvmlDeviceGetHandleByUUID": lambda name: name,
        "nvmlDeviceGetName": lambda handle: f"Card {handle[-1]}",
        "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=75, memory=10),
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=3 << 30),
        "nvmlDeviceGetPowerUsage": power,
    }.items():
        setattr(made, name, value)
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.setenv(ORDER, "PCI_BUS_ID")
    return made


def test_a_device_is_looked_at_until_the_end_and_what_it_cannot_tell_is_said(nvml: ModuleType) -> None:
    with watched(("0", "GPU-b"), every_s=0.01) as seen:
        while len(seen.seen[1].busy) < 5:
            time.sleep(0.01)
    first, second = (record.data for record in seen.told()["devices"].records)
    looks = len(seen.seen[0].busy)
    assert first == {
        "device": "0: Card a",
        "looks": looks,
        "busy, %": 75.0,
        "memory at most, MiB": 3072,
        "power, W": 150.0,
    }
    assert second["device"] == "GPU-b: Card b" and second["power, W"] == "not told"
    time.sleep(0.05)
    assert len(seen.seen[0].busy) == looks


def test_without_devices_or_a_driver_nothing_is_told(nvml: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(()) as seen:
        assert seen.told() == {}
    with monkeypatch.context() as without:
        without.setenv(ORDER, "FASTEST_FIRST")
        with watched(("0",)) as seen:
            assert seen.told() == {}

    def broken() -> None:
        raise NVMLError("driver not loaded")

    monkeypatch.setattr(nvml, "nvmlInit", broken, raising=False)
    with watched(("0",)) as seen:
        assert seen.told() == {}
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with watched(("0",)) as seen:
        assert seen.told() == {}


def test_a_leased_device_is_numbered_as_the_driver_numbers_it(
    nvml: ModuleType, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").touch()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv(VISIBLE, "1")
    monkeypatch.delenv(ORDER)
    with on_device(lambda _: None) as seen:
        assert os.environ[ORDER] == "PCI_BUS_ID" and os.environ[VISIBLE] == "1"
    assert seen.told()["devices"].records[0].data["device"] == "1: Card b"


@pytest.mark.slow
def test_every_step_that_queues_for_a_device_asks_for_one(
    own_driven: Any, instance_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlstir_assets.definitions import defs

    def asked(*_: Any, **__: Any) -> None:
        raise RuntimeError("a device was asked for")

    monkeypatch.setattr(use, "leased", asked)
    settings = Settings(store=str(own_driven.store), data=str(own_driven.data))
    assets = [each for each in defs.assets or [] if isinstance(each, dg.AssetsDefinition) and each.op.pool == GPU_POOL]
    assert len(assets) > 12
    for asset in assets:
        with instance_of(own_driven.home) as instance:
            made = dg.materialize(
                [asset],
                partition_key="host",
                instance=instance,
                resources={"settings": settings},
                raise_on_error=False,
            )
        (failure,) = (each.step_failure_data.error for each in made.all_events if each.is_step_failure)
        assert failure is not None and "a device was asked for" in failure.to_string(), asset.key
