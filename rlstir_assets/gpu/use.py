"""How busy a step keeps its devices: looked at once a second by NVML, where `nvidia-ml-py` and a driver are there.

Utilisation, memory and power are those of the whole device, whoever uses it, as NVML has no other. What does not belong
here: which device a step has (`lease.py`), and what a training itself takes (`rlstir_core/learning/memory.py`).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import dagster as dg

from rlstir_assets.gpu.lease import leased
from rlstir_assets.reporting import table
from rlstir_core.progress import Tell

ORDER = "CUDA_DEVICE_ORDER"
_BY_BUS = "PCI_BUS_ID"  # so that CUDA numbers devices as NVML and nvidia-smi do
_EVERY_S = 1.0
_MIB, _MILLI = 1 << 20, 1e-3


@dataclass
class Seen:
    """What was seen of one device, a number a look; what a device cannot tell stays empty."""

    name: str
    busy: list[float] = field(default_factory=list)  # % of the time since the last look
    memory: list[float] = field(default_factory=list)  # MiB
    power: list[float] = field(default_factory=list)  # W


class DeviceUse:
    """What is seen of the devices of a step; nothing where there are none, or nobody who could tell."""

    def __init__(self, seen: Sequence[Seen] = ()) -> None:
        self.seen = seen

    def told(self) -> dict[str, dg.TableMetadataValue]:
        """The metadata of a step."""
        rows = [
            {
                "device": each.name,
                "looks": max(map(len, (each.busy, each.memory, each.power))),
                "busy, %": round(fmean(each.busy), 1) if each.busy else "not told",
                "memory at most, MiB": round(max(each.memory)) if each.memory else "not told",
                "power, W": round(fmean(each.power), 1) if each.power else "not told",
            }
            for each in self.seen
            if each.busy or each.memory or each.power
        ]
        return {"devices": table(rows)} if rows else {}


@contextlib.contextmanager
def on_device(tell: Tell, *, every: bool = False) -> Iterator[DeviceUse]:
    """See `leased`; what the devices are used for is looked at until the end."""
    os.environ.setdefault(ORDER, _BY_BUS)
    with leased(tell, every=every) as devices, watched(devices) as use:
        yield use


@contextlib.contextmanager
def watched(devices: Sequence[str], every_s: float = _EVERY_S) -> Iterator[DeviceUse]:
    """Looks at devices, called as CUDA calls them, again and again."""
    handles = _handles(devices)
    if not handles:
        yield DeviceUse()
        return
    use, ended = DeviceUse([Seen(name) for name in handles]), threading.Event()

    def look() -> None:
        while True:
            for seen, handle in zip(use.seen, handles.values(), strict=True):
                _look(seen, handle)
            if ended.wait(every_s):
                return

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield use
    finally:
        ended.set()
        looking.join()


def _handles(devices: Sequence[str]) -> dict[str, Any]:
    """NVML's handles of the devices, by what they are called."""
    if not devices:
        return {}
    try:
        import pynvml
    except ImportError:
        return {}
    found = {}
    try:
        pynvml.nvmlInit()
        for device in devices:
            if not device.isdecimal():
                handle = pynvml.nvmlDeviceGetHandleByUUID(device)
            elif os.environ.get(ORDER) == _BY_BUS:
                handle = pynvml.nvmlDeviceGetHandleByIndex(int(device))
            else:
                continue  # somebody chose another order, in which this may be any device
            found[f"{device}: {pynvml.nvmlDeviceGetName(handle)}"] = handle
    except pynvml.NVMLError:
        return {}
    return found


def _look(seen: Seen, handle: Any) -> None:
    import pynvml

    with contextlib.suppress(pynvml.NVMLError):
        seen.busy.append(float(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu))
    with contextlib.suppress(pynvml.NVMLError):
        seen.memory.append(pynvml.nvmlDeviceGetMemoryInfo(handle).used / _MIB)
    with contextlib.suppress(pynvml.NVMLError):
        seen.power.append(pynvml.nvmlDeviceGetPowerUsage(handle) * _MILLI)
