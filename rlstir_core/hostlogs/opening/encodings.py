"""Text in any Unicode encoding as UTF-8, as it streams; what is UTF-8 already passes by untouched.

The encoding is told by a byte order mark or, for UTF-16 without one, by where the NUL bytes of plain ASCII stand.
What does not belong here: other encodings: their bytes stay as they are, and readers show them escaped.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

_HEAD = 256  # bytes in which NULs are looked for
_MARKS = (
    (codecs.BOM_UTF8, ""),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before the mark of UTF-16 that it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_MOSTLY = 0.4  # of the bytes at odd or even places; in the other places there is next to none
_HARDLY = 0.05


def utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks as UTF-8 without a byte order mark; what a broken encoding holds is replaced by U+FFFD."""
    source = iter(chunks)
    head = b""
    for chunk in source:
        head += chunk
        if len(head) >= _HEAD:
            break
    mark, encoding = encoding_of(head)
    head = head.removeprefix(mark)
    if not encoding:
        yield head
        yield from source
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chain((head,), source):
        if text := decoder.decode(chunk):
            yield text.encode("utf-8", "replace")
    if text := decoder.decode(b"", final=True):
        yield text.encode("utf-8", "replace")


def encoding_of(head: bytes) -> tuple[bytes, str]:
    """The byte order mark and the encoding of a text that begins so; an empty one is UTF-8 or unknown."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return mark, encoding
    head = head[:_HEAD]
    half = len(head) // 2
    if half >= 4:
        even, odd = head[0::2].count(0) / half, head[1::2].count(0) / half
        if odd >= _MOSTLY and even <= _HARDLY:
            return b"", "utf-16-le"
        if even >= _MOSTLY and odd <= _HARDLY:
            return b"", "utf-16-be"
    return b"", ""
