"""What a user may set about training, checked before anything is made; a refusal names the variable that it came from.

What does not belong here: folders (`resources.py`, `cli/common.py`), and what any of the values does.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence

from rlstir_core.datasets.renewal import read_renewal
from rlstir_core.errors import ConfigError, RlstirError
from rlstir_core.ids import host_id
from rlstir_core.learning.presets import preset as preset_of
from rlstir_core.workers.spread import check_workers

_SOCKET_PATH = 103 if sys.platform == "darwin" else 107  # sun_path of unix(7) without the NUL at its end
_A_DAY_S = 86_400
_SPLIT: dict[str, Callable[[str], list[str]]] = {  # how each variable is read
    "RLSTIR_PRESET": lambda text: [text],
    "RLSTIR_SET": str.split,
    "RLSTIR_NORMALISE": lambda text: [text],
    "RLSTIR_RETRAIN": lambda text: [text],
    "RLSTIR_WORKERS": lambda text: [text],
    "RLSTIR_TRAIN_HOSTS": lambda text: [name.strip() for name in text.split(",") if name.strip()],
}


def from_environment(variable: str) -> list[str]:
    """What a variable lists; nothing where it is not set or empty."""
    text = os.environ.get(variable, "")
    return _SPLIT[variable](text) if text else []


def check_choices(
    *,
    preset: str,
    overrides: Sequence[str],
    train_hosts: Sequence[str],
    normalise: str | None = None,
    retrain: str = "always",
    workers: str = "",
) -> None:
    """ConfigError for a value that cannot be; without `normalise`, that of the environment is looked at."""
    with blaming("RLSTIR_PRESET", [preset]):
        preset_of(preset)
    with blaming("RLSTIR_SET", overrides):
        preset_of(preset, overrides)
    with blaming("RLSTIR_TRAIN_HOSTS", train_hosts):
        for name in train_hosts:
            host_id(name)
    with blaming("RLSTIR_RETRAIN", [retrain]):
        read_renewal(retrain)
    with blaming("RLSTIR_WORKERS", [workers]):
        check_workers(workers)
    named = [normalise] if normalise else from_environment("RLSTIR_NORMALISE")
    if named and named != ["ewma"]:  # that one is known to be right, and numpy need not be loaded to tell
        from rlstir_core.telemetry.normalise import NORMALISERS

        with blaming("RLSTIR_NORMALISE", named):
            if named[0] not in NORMALISERS:
                raise ConfigError(f"normaliser {named[0]!r} is unknown; choose one of {', '.join(NORMALISERS)}")


def seconds_between_looks() -> int:
    """From one look of the sensor at the store to the next; ConfigError for what is no number of seconds."""
    text = os.environ.get("RLSTIR_LOOK_EVERY_S") or "20"
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 1 <= int(text) <= _A_DAY_S):
        raise ConfigError(
            f"environment variable RLSTIR_LOOK_EVERY_S: {text!r} is no number of seconds from 1 to {_A_DAY_S}; write 20"
        )
    return int(text)


def check_room_for_sockets() -> None:
    """ConfigError where the path of the folder of temporary files is too long for the sockets that start steps."""
    folder = tempfile.gettempdir()
    path = os.path.join(folder, "pymp-12345678", "listener-12345678")  # noqa: PTH118 - as multiprocessing names them
    if len(os.fsencode(path)) > _SOCKET_PATH:
        raise ConfigError(
            f"the folder of temporary files has a path of {len(os.fsencode(folder))} bytes, and a socket in it would "
            f"have more than the {_SOCKET_PATH} that this system allows (AF_UNIX path too long): {folder}; set TMPDIR "
            "to a folder with a shorter path, such as /tmp"
        )


@contextlib.contextmanager
def blaming(variable: str, value: Sequence[str]) -> Iterator[None]:
    """Puts the variable's name before a refusal of a value that is the environment's."""
    try:
        yield
    except RlstirError as error:
        if list(value) == from_environment(variable):
            raise ConfigError(f"environment variable {variable}: {error}") from None
        raise
