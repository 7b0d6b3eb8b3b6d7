"""What the last report speaks of, kept until another report is written: whoever scores is served by it in between.

A training replaces a checkpoint in its place, and nobody has seen yet how it compares. `champions/<recipe>/<id>/` lies
like a data folder of its own, so that a `Layout` opens it; its files are further names of the same contents, which a
training does not touch. What does not belong here: how the two compare (`evaluation/report/history.py`).
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from rlstir_core.atomic import canonical_sha256, file_sha256, write_json
from rlstir_core.results.layout import Layout

_POINTER = "now.json"


class Champion(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the pointer: the folder that is whole."""

    folder: str


def keep_champion(layout: Layout, recipe: str) -> None:
    """Keeps what the report of `recipe` was just written of, and lets go of what was kept before.

    Hold the evaluation's lock. A process that is killed here leaves what was kept before in place.
    """
    paths = list(_spoken_of(layout, recipe))
    name = _name_of(layout, paths)
    home = layout.champions(recipe)
    kept = home / name
    if _pointed(home) == name and all((kept / p.relative_to(layout.data)).exists() for p in paths):
        return
    if kept.exists():
        shutil.rmtree(kept)
    for path in paths:
        target = kept / path.relative_to(layout.data)
        target.parent.mkdir(parents=True, exist_ok=True)
        _name_again(path, target)
    write_json(home / _POINTER, Champion(folder=name))
    for old in home.iterdir():
        if old.is_dir() and old.name != name:
            shutil.rmtree(old, ignore_errors=True)  # somebody who reads it meets a missing file, and asks again


def champion_of(layout: Layout, recipe: str, needed: Path) -> Layout:
    """Where the files lie that the last report speaks of; the data folder itself where none of them is `needed`.

    `needed` is that file's place in the data folder: it may have been made after the report, for the first time.
    """
    name = _pointed(layout.champions(recipe))
    if not name:
        return layout
    kept = Layout(layout.champions(recipe) / name)
    return kept if (kept.data / needed.relative_to(layout.data)).exists() else layout


def is_succeeded(layout: Layout, recipe: str) -> bool:
    """Whether something was trained or evaluated since the last report, which does not speak of it yet."""
    name = _pointed(layout.champions(recipe))
    return bool(name) and name != _name_of(layout, list(_spoken_of(layout, recipe)))


def _spoken_of(layout: Layout, recipe: str) -> Iterator[Path]:
    """The plain files that scoring and investigating read, in a fixed order."""
    evaluation = layout.evaluation(recipe)
    found = [layout.feature_schema, layout.split(recipe), layout.report_inputs(recipe)]
    found += [*layout.artifacts(recipe).glob("[!.]*"), *evaluation.glob("[!_.]*_eval.json")]
    for path in sorted(found):
        if path.exists() and stat.S_ISREG(path.lstat().st_mode):
            yield path


def _name_of(layout: Layout, paths: Sequence[Path]) -> str:
    """One for what these files hold."""
    return canonical_sha256([(str(path.relative_to(layout.data)), _said(path)) for path in paths])[:16]


def _said(path: Path) -> str:
    """What tells two files apart: the content of JSON, which holds the hashes of the weights beside it."""
    return file_sha256(path) if path.suffix == ".json" else str(path.stat().st_size)


def _pointed(home: Path) -> str:
    try:
        name = msgspec.json.decode((home / _POINTER).read_bytes(), type=Champion).folder
    except (FileNotFoundError, msgspec.MsgspecError):
        return ""
    return name if name.isalnum() and (home / name).is_dir() else ""


def _name_again(path: Path, target: Path) -> None:
    try:
        os.link(path, target, follow_symlinks=False)
    except OSError:  # a file system without further names
        shutil.copyfile(path, target, follow_symlinks=False)
