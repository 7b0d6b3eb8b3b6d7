"""Entries of the journal's export format, as they arrive in chunks.

A field is a line `KEY=value`, or a line `KEY`, eight bytes of length (little-endian), the value and a newline; a
blank line ends an entry. Memory stays bounded: a longer value is cut and named. What does not belong here: what
the fields mean (`parser.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_KEY = re.compile(rb"[A-Z0-9_]{1,64}").fullmatch
_FIELDS = 1100
_DATA_MAX = 768 << 20  # the journal's own limit: a larger length is damage
_REMARK = b"-- "  # journalctl's own: no entries, a boot
_VALUES = 8  # an entry keeps at most so many values of the longest length


@dataclass(slots=True)
class ExportEntry:
    """Fields in the order of the export, names twice where a field has several values."""

    line: int  # number of the entry, from 1
    fields: list[tuple[str, bytes]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)  # fields whose values were too long
    fault: str = ""
    n_bytes: int = 0


class _Stream:
    """Lines and counted bytes from chunks."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._held = b""
        self._at = 0

    def _more(self) -> bool:
        for chunk in self._chunks:
            if chunk:
                self._held = self._held[self._at :] + chunk
                self._at = 0
                return True
        return False

    def line(self, limit: int) -> tuple[bytes, bool] | None:
        """The next line without its end, cut to the limit, and whether it is whole; None at the end."""
        start = self._at
        end = self._held.find(b"\n", start)
        if end >= 0 and end - start <= limit:
            self._at = end + 1
            return self._held[start:end], True
        kept, n_seen = b"", 0
        while end < 0:
            part = self._held[self._at :]
            n_seen += len(part)
            kept += part[: max(0, limit - len(kept))]
            self._at = len(self._held)
            if not self._more():
                return (kept, n_seen <= limit) if n_seen else None
            end = self._held.find(b"\n")
        part = self._held[self._at : end]
        n_seen += len(part)
        kept += part[: max(0, limit - len(kept))]
        self._at = end + 1
        return kept, n_seen <= limit

    def take(self, count: int, limit: int) -> bytes | None:
        """The next `count` bytes, of which the first `limit` are kept; None where the stream ends before."""
        parts, n_kept = [], 0
        while count:
            if self._at >= len(self._held) and not self._more():
                return None
            part = self._held[self._at : self._at + count]
            self._at += len(part)
            count -= len(part)
            if n_kept < limit:
                parts.append(part[: limit - n_kept])
                n_kept += len(parts[-1])
        return b"".join(parts)


def entries(chunks: Iterable[bytes], limit: int) -> Iterator[ExportEntry]:
    """Every entry; one that is damaged says so in `fault`, and reading goes on after the next blank line."""
    stream = _Stream(chunks)
    number = 1
    entry = ExportEntry(number)
    for raw, whole in _field_lines(stream, limit):
        # a cursor begins an entry even where the blank line before was lost
        if not raw or raw[:9] == b"__CURSOR=":
            if entry.fields or entry.fault:
                yield entry
                number += 1
                entry = ExportEntry(number)
            if not raw:
                continue
        if not entry.fault:
            _read_field(entry, stream, raw, whole, limit)
    if entry.fields or entry.fault:
        yield entry


def _field_lines(stream: _Stream, limit: int) -> Iterator[tuple[bytes, bool]]:
    """Lines outside of counted values, and whether each is whole.

    No value that stands in a line has NULs or ends in a carriage return: the ones are what a crash left, and in a block
    of them a line ends; the other is what a copy added.
    """
    while (found := stream.line(limit)) is not None:
        raw, whole = found
        if b"\0" in raw:
            parts = [part for each in raw.split(b"\0") if (part := each.strip(b"\r"))]
            yield from ((part, whole and at == len(parts)) for at, part in enumerate(parts, 1))
        elif raw[:3] != _REMARK:
            yield (raw.rstrip(b"\r"), whole) if raw[-1:] == b"\r" else found


def _read_field(entry: ExportEntry, stream: _Stream, raw: bytes, whole: bool, limit: int) -> None:
    key, equals, value = raw.partition(b"=")
    if not _KEY(key):
        entry.fault = "no journal field"
        entry.fields.append(("", raw))
        return
    name = key.decode()
    if not equals:
        length = int.from_bytes(stream.take(8, 8) or b"\xff" * 8, "little")
        if length > _DATA_MAX:
            entry.fault = f"{name}: a length beyond the journal's"
            return
        taken = stream.take(length, limit)
        if taken is None or stream.take(1, 1) != b"\n":
            entry.fault = f"{name}: the value does not end where it says"
            return
        value, whole = taken, length <= limit
    if entry.n_bytes + len(value) > _VALUES * limit or len(entry.fields) >= _FIELDS:
        value, whole = b"", False
        if len(entry.fields) >= _FIELDS:
            entry.cut = entry.cut or [name]
            return
    if not whole:
        entry.cut.append(name)
    entry.n_bytes += len(value)
    entry.fields.append((name, value))
