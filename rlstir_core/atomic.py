"""Durable writes: a final file appears whole or not at all.

A temporary file in the same folder, fsync, rename, fsync of the folder. Every final file of the project
is made here. A process that is killed leaves its temporary file behind, under a hidden name that tells whose it
was: whoever makes that file next, and holds its lock, sweeps it. What does not belong here: what is in the files.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

import msgspec

_PREFIX = ".tmp-"
_DURABLE: ContextVar[bool] = ContextVar("durable", default=True)


@contextlib.contextmanager
def passing() -> Iterator[None]:
    """Within it, files need not survive a power cut, since their folder is removed before anybody looks for them."""
    before = _DURABLE.set(False)
    try:
        yield
    finally:
        _DURABLE.reset(before)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; on a clean exit it becomes `path`, otherwise it is removed.

    An OSError (a full disk, say) carries the final path's name.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{_PREFIX}{path.name}-", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
    except OSError as error:
        raise _named(error, path) from error
    try:
        yield temporary
        temporary.chmod(0o644)  # some writers make the file anew, for its owner alone
        _fsync(temporary)
        temporary.replace(path)
        _fsync(path.parent)
    except OSError as error:
        raise _named(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)


def rename(source: Path, path: Path) -> None:
    """Gives a file that is whole, and lies in the same folder, its final name; it survives a power cut."""
    source.replace(path)
    _fsync(path.parent)


def sweep(folder: Path, of: str = "", *, deep: bool = False) -> None:
    """Removes temporary files of killed processes from `folder`: those of files whose names begin with `of`."""
    pattern = f"{_PREFIX}{glob.escape(of)}*"
    for path in folder.rglob(pattern) if deep else folder.glob(pattern):
        path.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 to `path`, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Writes `value` as indented JSON with keys in a fixed order, whole or not at all."""
    write_bytes(path, json_bytes(value) + b"\n")


def json_bytes(value: object) -> bytes:
    """Indented JSON with sorted keys: equal values give equal bytes."""
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1)


def canonical_sha256(value: object) -> str:
    """The sha256 of `value`'s canonical JSON (sorted keys, no white space)."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    if not _DURABLE.get():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _named(error: OSError, path: Path) -> OSError:
    return OSError(error.errno, error.strerror or str(error), str(path))
