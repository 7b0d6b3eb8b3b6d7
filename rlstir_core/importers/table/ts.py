"""The `.ts` format of the UEA and UCR archives: a header of `@` tags, then a series a line.

The rules are those that aeon and sktime write down: tags in any case, `#` lines are remarks, dimensions are
parted by `:` and the class stands last; what the header declares, every series has to keep. What does not belong
here: other formats (`files.py`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from rlstir_core.errors import StoreError

_TAGS = (b"@problemname", b"@timestamps", b"@classlabel", b"@targetlabel", b"@univariate", b"@data")
_MISSING = ("?", "", "nan")


@dataclass(frozen=True)
class _Header:
    """What the tags say; 0 or None where they say nothing."""

    classes: tuple[str, ...]
    n_dims: int
    equal: bool | None
    length: int


def is_ts(head: bytes) -> bool:
    """Whether a text begins as a `.ts` file does, or holds one of its tags at a line's start."""
    return any(line.strip().lower().startswith(_TAGS) for line in head.splitlines())


def read_ts(path: Path, text: str) -> pa.Table:
    """Columns `series`, `label`, `dim_0`, `dim_1`, …; a row per step. `?` and NaN are missing."""
    flags: dict[str, list[str]] = {}
    header: _Header | None = None
    names: list[str] = []
    labels: list[str] = []
    dims: list[list[np.ndarray]] = []
    for number, raw in enumerate(re.split(r"\r\n|\n|\r", text.removeprefix("\ufeff")), 1):
        line = raw.strip()
        if not line or line[0] in "#%":
            continue
        if header is None:
            tag, *values = line.split()
            if not tag.startswith("@"):
                raise StoreError(f"{path} line {number} stands before @data and is neither a tag nor a remark; mend it")
            if tag.lower() != "@data":
                flags[tag.lower()] = values
            elif values:
                raise StoreError(f"{path} line {number} has more than @data; begin the series on the next line")
            else:
                header = _header(path, flags)
            continue
        series, label = _series(path, f"series {len(dims) + 1} (line {number})", line, header)
        if dims and len(series) != len(dims[0]):
            raise StoreError(
                f"{path} series {len(dims) + 1} (line {number}) has {len(series)} dimensions, those before it have "
                f"{len(dims[0])}; a dimension or the class is missing"
            )
        if header.equal and not header.length:
            header = _Header(header.classes, header.n_dims, True, len(series[0]))
        dims.append(series)
        names += [str(len(dims))] * len(series[0])
        labels += [label] * len(series[0])
    if header is None:
        raise StoreError(f"{path} has no line @data; it is no whole .ts file")
    columns = {"series": pa.array(names, pa.string()), "label": pa.array(labels, pa.string())}
    for d in range(len(dims[0]) if dims else 0):
        columns[f"dim_{d}"] = pa.array(np.concatenate([one[d] for one in dims]), from_pandas=True)
    return pa.table(columns)


def _header(path: Path, flags: dict[str, list[str]]) -> _Header:
    def said(tag: str) -> str:
        return (flags.get(tag) or [""])[0].lower()

    def count(*tags: str) -> int:
        word = next((said(tag) for tag in tags if said(tag)), "0")
        if not word.isdecimal():
            raise StoreError(f"{path} says {tags[0]} {word!r}, which is no number; mend the header")
        return int(word)

    if said("@timestamps") == "true":
        raise StoreError(f"{path} holds time stamps inside its series; convert it to a plain .ts file")
    if said("@targetlabel") == "true":
        raise StoreError(f"{path} has numbers to predict (@targetLabel) and no classes; name a classification set")
    if said("@classlabel") != "true":
        raise StoreError(f"{path} has no class labels; name a classification set")
    classes = tuple(flags["@classlabel"][1:])
    if not classes:
        raise StoreError(f"{path} says @classLabel true and lists no class; list them behind it")
    equal = {"true": True, "false": False}.get(said("@equallength"))
    n_dims = count("@dimensions", "@dimension")
    if said("@univariate") == "true":
        if n_dims > 1:
            raise StoreError(f"{path} says @univariate true and @dimensions {n_dims}; correct one")
        n_dims = 1
    return _Header(classes, n_dims, equal, 0 if equal is False else count("@serieslength"))


def _series(path: Path, which: str, line: str, header: _Header) -> tuple[list[np.ndarray], str]:
    """The dimensions of a series, all of one length, and its class."""
    *parts, last = line.split(":")
    declared = f"@classLabel lists {', '.join(header.classes[:20])}"
    if header.n_dims and len(parts) != header.n_dims:
        if len(parts) == header.n_dims - 1 and _class_of(last.strip(), header.classes) is None:
            raise StoreError(f"{path} {which} ends without its class; {declared}")
        raise StoreError(f"{path} {which} has {len(parts)} dimensions, the header says {header.n_dims}; mend one")
    label = _class_of(last.strip(), header.classes)
    if label is None:
        shown = last.strip()[:60]
        what = f"has the class {shown!r}, which the header does not declare" if parts else "ends without its class"
        raise StoreError(f"{path} {which} {what}; {declared}")
    series = [_floats(path, which, text) for text in parts]
    length = max((len(values) for values in series), default=0)
    if not length:
        raise StoreError(f"{path} {which} has no values; mend or drop it")
    for d, values in enumerate(series):
        if header.equal and len(values) != (header.length or len(series[0])):
            raise StoreError(
                f"{path} {which} has {len(values)} steps in dimension {d}, others have "
                f"{header.length or len(series[0])}, and the header says @equalLength true; mend one"
            )
    return [np.pad(v, (0, length - len(v)), constant_values=np.nan) for v in series], label


def _class_of(text: str, classes: tuple[str, ...]) -> str | None:
    """The declared class that `text` is: to the letter, else but for case, else as a number."""
    if text in classes:
        return text
    alike = [name for name in classes if name.lower() == text.lower()]
    if not alike and (value := _number(text)) is not None:
        alike = [name for name in classes if _number(name) == value]
    return alike[0] if len(alike) == 1 else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _floats(path: Path, which: str, text: str) -> np.ndarray:
    try:
        return np.array([np.nan if v.strip().lower() in _MISSING else float(v) for v in text.split(",")])
    except ValueError as error:
        raise StoreError(f"{path} {which}: {error}; mend the value") from None
