"""Whether a worker elsewhere sees the same store and the same data folder as this process, and makes equal results.

A path that is there proves little: it may be a folder of the worker's own, or a mount that it may not write to. So the
first lines of files are compared, and a question left in the folder is answered by a file beside it. What does not
belong here: how a worker is reached (`cluster.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import platform
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version as version_of
from pathlib import Path
from typing import NamedTuple

from rlstir_core.atomic import sweep
from rlstir_core.errors import ConfigError
from rlstir_core.results.versions import VERSIONS

_LINE_BYTES = 4096  # at most, of the first line: an index may be long, and lines are added to it
_APPEARS_S = 10.0  # until a file that was written elsewhere must be seen here
_NAME = ".tmp-workers-"  # a leftover is swept like any temporary file
_DECIDE = ("numpy", "pyarrow", "safetensors", "zstandard")  # libraries whose version shows in the bytes of files


class Look(NamedTuple):
    """What a worker sees, and what it would work with."""

    heads: tuple[str, ...]  # a hash of the first line of each file; empty where it is not seen
    answer: str  # the name of the file that it left beside the question; empty where it could not
    makes: Mapping[str, object]


@contextlib.contextmanager
def asked_in(folder: Path) -> Iterator[Path]:
    """Leaves a question in the folder, for as long as it is asked; everything that was said of it is removed."""
    name = f"{_NAME}{uuid.uuid4().hex}"
    question = folder / name
    try:
        question.write_text(name, "ascii")
        yield question
    finally:
        sweep(folder, name.removeprefix(".tmp-"))


def look(files: Sequence[Path], question: Path) -> Look:
    """What this process sees; it answers the question by a file."""
    answer = question.with_name(f"{question.name}-{uuid.uuid4().hex}")
    try:
        if question.read_text("ascii") != question.name:
            raise OSError
        answer.write_text("seen", "ascii")
        left = answer.name
    except OSError:
        left = ""
    return Look(tuple(map(_head, files)), left, _makes())


def answers_in(question: Path, found: Mapping[str, Look | Exception], files: Sequence[Path]) -> None:
    """ConfigError for a worker that cannot load rlstir, sees something else, or makes other results."""
    looks = {worker: each for worker, each in found.items() if isinstance(each, Look)}

    def refuse(wrong: Sequence[str], what: str, remedy: str) -> None:
        if wrong:
            raise ConfigError(f"{len(wrong)} of {len(found)} Dask workers {what}, the first is {min(wrong)}; {remedy}")

    refuse(
        [worker for worker in found if worker not in looks],
        "cannot load rlstir as it is here",
        "install the same version there",
    )
    here = _makes()
    for name, value in here.items():
        refuse(
            [worker for worker, each in looks.items() if each.makes.get(name) != value],
            f"have another version of {name}",
            f"install the same one there{f' ({value})' if isinstance(value, str) else ''}",
        )
    for at, path in enumerate(files):
        refuse(
            [worker for worker, each in looks.items() if each.heads[at] != _head(path)],
            f"do not see {path} as it is here",
            "mount its folder there under the same path",
        )
    folder = question.parent
    until = time.monotonic() + _APPEARS_S
    missing = {worker: folder / each.answer for worker, each in looks.items() if each.answer}
    while missing and time.monotonic() < until:
        missing = {worker: path for worker, path in missing.items() if not path.exists()}
        time.sleep(0.05 if missing else 0)
    refuse(
        [worker for worker, each in looks.items() if not each.answer or worker in missing],
        f"cannot write to {folder} or see another folder there",
        "mount it there under the same path, writable",
    )


def _head(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return hashlib.sha256(handle.readline(_LINE_BYTES)).hexdigest()
    except OSError:
        return ""


def _makes() -> dict[str, object]:
    """All whose difference makes other files of the same episodes."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"rlstir": dict(VERSIONS), "Python": python, **{name: version_of(name) for name in _DECIDE}}
