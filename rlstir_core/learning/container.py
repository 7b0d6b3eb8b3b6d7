"""What every checkpoint shares: plain files of bounded size, and sidecars that are the ones they were written with.

No pickle on any path. What does not belong here: what a checkpoint says (`detectors/checkpoint.py`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from io import BufferedReader
from pathlib import Path

from rlstir_core.errors import CheckpointError

MAX_JSON_BYTES = 64 << 20
MAX_SIDECAR_BYTES = 512 << 20


def verified_sidecar(folder: Path, name: str, sha256: str) -> Path:
    """The sidecar's path; CheckpointError where it is missing, or not the file its checkpoint was written with."""
    sidecar = folder / name
    try:
        with opened(sidecar, MAX_SIDECAR_BYTES) as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except FileNotFoundError:
        found = ""
    if found != sha256:
        raise CheckpointError(
            f"{sidecar} is missing or is not the file its checkpoint was written with; train it again"
        )
    return sidecar


def opened(path: Path, most: int) -> BufferedReader:
    """The plain file at `path`, open for reading; CheckpointError where it is none, or larger than `most` bytes."""
    try:
        # without O_NONBLOCK, opening a pipe would wait for a writer
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be opened, or is a link ({error.strerror}); put the plain file back or train it again"
        ) from None
    found = os.fstat(handle)
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        return os.fdopen(handle, "rb")
    os.close(handle)
    if stat.S_ISREG(found.st_mode):
        raise CheckpointError(
            f"{path} has {found.st_size} bytes, larger than a checkpoint can be ({most}); train it again"
        )
    raise CheckpointError(f"{path} is no plain file; put the file back or train it again")
