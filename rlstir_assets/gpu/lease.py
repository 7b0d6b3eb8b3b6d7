"""Which device a step has: one of its own for the life of its process, or all of them.

Dagster's pool says how many steps may run; a lease says on which device, by a lock that the system frees when a process
ends, however it ends. Whoever asks for all devices goes first once it has asked, and waits for those at work. What does
not belong here: how much memory a step needs (presets) and how long it queues (Dagster's pool).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from rlstir_assets.home import RECORDS, home_folder
from rlstir_core.progress import Tell
from rlstir_core.results.lock import holding, trying

VISIBLE = "CUDA_VISIBLE_DEVICES"
_POLL_S = 0.2


def visible_devices() -> tuple[str, ...]:
    """The NVIDIA devices that steps may use, by what CUDA calls them; no driver is loaded to tell."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip())
    return tuple(str(k) for k in range(len(list(Path("/dev").glob("nvidia[0-9]*")))))


@contextlib.contextmanager
def leased(tell: Tell, *, every: bool = False) -> Iterator[tuple[str, ...]]:
    """A device of one's own, or every one; CUDA sees these alone until the end. Nothing where there are none.

    Must be asked for before the process first speaks to CUDA.
    """
    devices = visible_devices()
    if not devices:
        yield ()
        return
    with contextlib.ExitStack() as held:
        mine = _every(devices, held, tell) if every else _one(devices, held, tell)
        before = os.environ.get(VISIBLE)
        os.environ[VISIBLE] = ",".join(mine)
        try:
            yield mine
        finally:
            if before is None:
                del os.environ[VISIBLE]
            else:
                os.environ[VISIBLE] = before


def _one(devices: Sequence[str], held: contextlib.ExitStack, tell: Tell) -> tuple[str, ...]:
    """The first device that is free; behind whoever waits for all of them."""
    while True:
        with holding(_lock("all"), shared=True, waiting=tell):  # for a moment: whoever wants all comes between
            for device in devices:
                with contextlib.ExitStack() as attempt:
                    if attempt.enter_context(trying(_lock(device))):
                        held.push(attempt.pop_all())
                        return (device,)
        tell("waiting for a device")
        time.sleep(_POLL_S)


def _every(devices: Sequence[str], held: contextlib.ExitStack, tell: Tell) -> tuple[str, ...]:
    held.enter_context(holding(_lock("all"), waiting=tell))
    for device in devices:
        held.enter_context(holding(_lock(device), waiting=tell))
    return tuple(devices)


def _lock(name: str) -> Path:
    return home_folder() / RECORDS / "devices" / f"{name.replace('/', '_')}.lock"
