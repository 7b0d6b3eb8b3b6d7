"""Verdicts that a run reached before it was cut off, beside those of the last whole run, so that none is reached twice.

They are no verdicts of the host until all are: nobody but the next run reads them, and it believes those whose tarball
and rules are the same. What does not belong here: reaching verdicts (`validate.py`).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from rlstir_core.episodes.validation.decoded import Known, read_ledger, write_ledger
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation, write_validation
from rlstir_core.errors import UpstreamMissing

_FOLDER = "_unfinished"  # Parquet readers pass over names that begin with an underscore


def write_unfinished(verdicts: Path, reached: Mapping[str, tuple[ValidationRow, Known]]) -> None:
    """Notes what was reached, and from what."""
    beside = _beside(verdicts)
    write_validation(beside, [row for row, _ in reached.values()])
    write_ledger(beside, {episode: known for episode, (_, known) in reached.items()})


def read_unfinished(verdicts: Path) -> dict[str, tuple[ValidationRow, Known]]:
    """What was noted of each episode; nothing where the note is damaged, or another version wrote it."""
    beside = _beside(verdicts)
    known = read_ledger(beside).episodes
    try:
        rows = read_validation(beside) if known else []
    except UpstreamMissing:
        return {}
    return {row.episode_id: (row, known[row.episode_id]) for row in rows if row.episode_id in known}


def forget_unfinished(verdicts: Path) -> None:
    """The verdicts are whole."""
    shutil.rmtree(_beside(verdicts).parent, ignore_errors=True)


def _beside(verdicts: Path) -> Path:
    return verdicts.parent / _FOLDER / verdicts.name
