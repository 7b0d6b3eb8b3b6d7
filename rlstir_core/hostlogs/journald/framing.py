"""Where an entry begins and ends in the JSON that `journalctl` prints and others make of it.

Entries stand one a line (`-o json`), between `\\x1e` (json-seq, RFC 7464), behind `data: ` (json-sse), or are printed
over many lines, one after the other or in an array (json-pretty, `jq -s`). What does not belong here: the export format
(`export_format.py`).
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, Literal

import msgspec

from rlstir_core.hostlogs.opening.json_frames import OBJECTS_A_LINE, frames
from rlstir_core.hostlogs.opening.lines import Line, lines

Framing = Literal["lines", "frames", "export"]

_HEAD = 1 << 16  # bytes in which an entry must begin
_UNSEEN = b" \t\r\0\x1e"
_EVENT = (b"data:", b"event:", b"id:", b"retry:", b":")  # of json-sse
_SKIPPED = (b"-- ", b"event:", b"id:", b"retry:", b":")  # journalctl's own remarks, and what is not data
_FIELD = re.compile(rb"[A-Z0-9_]{1,64}(?:=|$)").match
_TORN = 2  # lines that begin an object and do not end it: more, and entries are printed over many
_whole = msgspec.json.Decoder(dict[str, Any]).decode


def opened(chunks: Iterable[bytes], limit: int) -> tuple[Framing, Iterable[bytes]]:
    """How the entries are framed, by the first line that is the journal's, and the chunks again."""
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        framing = _framing(head, at_end=False)
        if framing is not None or len(head) > max(_HEAD, limit):
            return framing or _framing(head, at_end=True) or "lines", chain((head,), source)
    return _framing(head, at_end=True) or "lines", (head,)


def _framing(head: bytes, at_end: bool) -> Framing | None:
    parts = head[: _HEAD if at_end else None].removeprefix(BOM_UTF8).split(b"\n")
    torn = 0
    for number, part in enumerate(parts, 1):
        cut = number == len(parts) and not at_end
        said = part.strip(_UNSEEN)
        if said.startswith(_EVENT):
            return "lines"
        if said[:1] == b"[" and not torn:
            return "frames"
        if cut:
            break
        if said[:1] == b"{":
            if _is_whole(said):
                return "lines"
            torn += 1  # the end of a line that was rotated away, or the first line of a printed entry
            if torn > _TORN:
                return "frames"
        elif not torn and _FIELD(said):
            return "export"
    return "frames" if torn and at_end else None


def _is_whole(raw: bytes) -> bool:
    try:
        _whole(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False
    return True


def values(chunks: Iterable[bytes], framing: Framing, limit: int) -> Iterator[Line]:
    """Every JSON value, and every line that is none, with the line in which it begins."""
    if framing == "frames":
        # a line end before the first value, so that it begins like the others: that tells torn ones
        for frame in frames(chain((b"\n",), map(_plain, chunks)), limit):
            if frame.whole or frame.raw[:1] == b"{" or len(frame.raw) >= limit:
                yield Line(frame.number - 1, frame.raw.rstrip(), frame.whole)
            else:
                yield from _strays(frame)
        return
    for line in lines(chunks, limit):
        if line.raw[:1] == b"{":
            yield line
            continue
        raw = line.raw.removeprefix(BOM_UTF8).strip(_UNSEEN)
        raw = raw[5:].strip() if raw.startswith(b"data:") else raw
        if raw and not raw.startswith(_SKIPPED):
            yield line._replace(raw=raw)


def _strays(text: Line) -> Iterator[Line]:
    """The lines of what stands between two values."""
    for number, raw in enumerate(text.raw.split(b"\n"), text.number - 1):
        if (said := raw.strip(_UNSEEN)) and said not in b"[]," and not said.startswith(b"-- "):
            yield Line(number, said)


def _plain(chunk: bytes) -> bytes:
    """The chunk with blanks for what stands between values only: a text in JSON holds no such byte."""
    return chunk.replace(b"\x1e", b" ").replace(b"\0", b" ") if b"\x1e" in chunk or b"\0" in chunk else chunk


def objects_in(line: Line, limit: int) -> list[Line]:
    """The objects of a line that holds several, one behind the other; none where it does not."""
    found = [] if b"}" not in line.raw[:-1] or not line.whole else list(frames((line.raw,), limit))
    several = 1 < len(found) <= OBJECTS_A_LINE and all(frame.whole for frame in found)
    return [frame._replace(number=line.number) for frame in found] if several else []
