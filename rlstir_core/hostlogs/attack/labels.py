"""Labels of foreign logs: a `labels.csv` that says which techniques and tactics a file carries.

Labels are per file, not per event: every row of the file gets them, and what stands in no label is unlabelled,
not benign. What does not belong here: the label space (`techniques.py`).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from pathlib import Path

import msgspec

from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.techniques import current_id, in_space, tactics_of

_MAX_BYTES = 64 << 20
_BETWEEN = re.compile(r"[|;,\s]+")


class FileLabel(msgspec.Struct, frozen=True, kw_only=True):
    """What one file carries: ids of now as they were given, and the tactics."""

    techniques: tuple[str, ...] = ()
    tactics: tuple[str, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The techniques in the label space, rolled up where only the parent is in it."""
        return tuple(dict.fromkeys(label for t in self.techniques if (label := in_space(t)) is not None))


class LabelTable(msgspec.Struct, frozen=True, kw_only=True):
    """All labels by file (a path with `/` between folders), and what could not be used."""

    files: dict[str, FileLabel]
    unseen: dict[str, int]  # techniques outside the label space, and how many files carry them
    unreadable: tuple[str, ...]  # ids that are none, by line

    def of(self, file: str) -> FileLabel | None:
        """The label of a file, by its path or, where that is unambiguous, by its name."""
        plain = file.replace("\\", "/")
        if plain in self.files:
            return self.files[plain]
        ends = [path for path in self.files if path.endswith(f"/{plain}") or plain.endswith(f"/{path}")]
        return self.files[ends[0]] if len(ends) == 1 else None


def read_labels(path: Path) -> LabelTable:
    """The table in a CSV with the columns `file` and `technique` (and `tactic`); several values stand between `|`.

    StoreError where the file cannot be read, ConfigError where the columns are missing.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StoreError(f"{path} has over {_MAX_BYTES} bytes; a label table names files, split it")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); name a labels.csv") from None
    except UnicodeDecodeError:
        raise StoreError(f"{path} is not UTF-8; convert it") from None
    try:
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
    except csv.Error as error:
        raise StoreError(f"{path} is no CSV ({error}); mend it") from None
    columns = set(rows[0]) if rows else set()
    if not {"file", "technique"} <= columns:
        raise ConfigError(f"{path} needs the columns file and technique, it has {sorted(map(str, columns))[:10]}")
    files: dict[str, FileLabel] = {}
    unseen: Counter[str] = Counter()
    unreadable = []
    for number, row in enumerate(rows, 2):
        ids = []
        for word in _words(row.get("technique")):
            try:
                ids.append(current_id(word))
            except ConfigError as error:
                unreadable.append(f"line {number}: {error}")
        unseen.update(each for each in dict.fromkeys(ids) if in_space(each) is None)
        tactics = [tactic for word in (row.get("tactic") or "").split("|") for tactic in tactics_of(word)]
        name = (row.get("file") or "").replace("\\", "/")
        files[name] = FileLabel(techniques=tuple(dict.fromkeys(ids)), tactics=tuple(dict.fromkeys(tactics)))
    return LabelTable(files=files, unseen=dict(sorted(unseen.items())), unreadable=tuple(unreadable))


def _words(text: str | None) -> list[str]:
    return [word for word in _BETWEEN.split(text or "") if word]
