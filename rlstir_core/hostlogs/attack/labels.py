"""Labels of foreign logs: a `labels.csv` that says which techniques and tactics a file carries.

Labels are per file, not per event: every row of the file gets them, and what stands in no label is unlabelled,
not benign. What does not belong here: the label space (`techniques.py`).
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from functools import cached_property
from pathlib import Path

import msgspec

from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.techniques import current_id, in_space, tactics_of
from rlstir_core.hostlogs.opening.encodings import utf8

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


class LabelTable(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All labels by file (a path with `/` between folders), and what could not be used.

    A file's labels are those of all its lines together.
    """

    files: dict[str, FileLabel]
    unseen: dict[str, int]  # techniques outside the label space, and how many files carry them
    unreadable: tuple[str, ...]  # ids that are none, and lines that contradict another, by line

    def of(self, file: str) -> FileLabel | None:
        """The label of a file, by its path or, where that is unambiguous, by its name."""
        name = self.name_of(file)
        return self.files[name] if name is not None else None

    def name_above(self, file: str, root: str = "") -> str | None:
        """The name under which the table has a file, or the innermost archive or folder that holds it.

        `root` is the folder that `file` lies in: a name of the table that begins with it is that path and no other.
        """
        base = root.replace("\\", "/").rstrip("/") + "/"
        while file:
            name = self.name_of(file)
            if name is not None and not (len(base) > 1 and name.startswith(base) and name != base + file):
                return name
            file = file.rpartition("/")[0]
        return None

    def name_of(self, file: str) -> str | None:
        """The name under which the table has a file: the longest end of its path, or the one path that it ends."""
        plain = file.replace("\\", "/").strip("/")
        if not plain:
            return None
        parts = plain.split("/")
        for at in range(len(parts)):
            if (end := "/".join(parts[at:])) in self.files:
                return end
        longer = [path for path in self.by_name.get(parts[-1], ()) if path.endswith(f"/{plain}")]
        return longer[0] if len(longer) == 1 else None

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """The table's paths by their last part, so that a large table is not gone through for every file."""
        found: dict[str, list[str]] = {}
        for path in self.files:
            found.setdefault(path.rpartition("/")[2], []).append(path)
        return found


def read_labels(path: Path) -> LabelTable:
    """The table in a CSV with the columns `file` and `technique` (and `tactic`); several values stand between `|`.

    Columns may stand between commas, semicolons or tabs. StoreError where the file cannot be read, ConfigError where
    the columns are missing.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise StoreError(f"{path} has over {_MAX_BYTES} bytes; a label table names files, split it")
        text = b"".join(utf8((path.read_bytes(),))).decode()
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror}); name a labels.csv") from None
    except UnicodeDecodeError:
        raise StoreError(f"{path} is not UTF-8; convert it") from None
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text), skipinitialspace=True)
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        rows = list(reader)
    except csv.Error as error:
        raise StoreError(f"{path} is no CSV ({error}); mend it") from None
    columns = set(reader.fieldnames)
    if not {"file", "technique"} <= columns:
        raise ConfigError(f"{path} needs the columns file and technique, it has {sorted(map(str, columns))[:10]}")
    files: dict[str, FileLabel] = {}
    first_line: dict[str, int] = {}
    unreadable = []
    for number, row in enumerate(rows, 2):
        ids = []
        for word in _words(row.get("technique")):
            try:
                ids.append(current_id(word))
            except ConfigError as error:
                unreadable.append(f"line {number}: {error}")
        tactics = [tactic for word in (row.get("tactic") or "").split("|") for tactic in tactics_of(word)]
        name = (row.get("file") or "").strip().replace("\\", "/").removeprefix("./").rstrip("/")
        if not name:
            unreadable.append(f"line {number}: no file")
            continue
        before = files.get(name)
        if before is not None and bool(before.techniques) != bool(ids):
            unreadable.append(
                f"line {number}: {name} is labelled with {'no' if not ids else 'a'} technique, unlike in line "
                f"{first_line[name]}; the techniques of both count"
            )
        first_line.setdefault(name, number)
        known = before or FileLabel()
        files[name] = FileLabel(
            techniques=tuple(dict.fromkeys((*known.techniques, *ids))),
            tactics=tuple(dict.fromkeys((*known.tactics, *tactics))),
        )
    unseen = Counter(each for label in files.values() for each in label.techniques if in_space(each) is None)
    return LabelTable(files=files, unseen=dict(sorted(unseen.items())), unreadable=tuple(unreadable))


def _delimiter(text: str) -> str:
    """What stands between the columns: a comma, or what spreadsheets of other countries write."""
    head = text.partition("\n")[0]
    return max(",;\t", key=head.count)


def _words(text: str | None) -> list[str]:
    return [word for word in _BETWEEN.split(text or "") if word]
