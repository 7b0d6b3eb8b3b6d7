"""A line of JSON, changed and written again in the manner of the line: its spaces, its escapes, its order.

What does not belong here: which keys a format has.
"""

from __future__ import annotations

import json
from typing import Any

from rlstir_core.lab.tamper.records.pieces import bare, end_of

JsonRecord = dict[str, Any]

_STYLES: tuple[tuple[tuple[str, str], bool], ...] = (
    ((",", ":"), False),
    ((",", ":"), True),
    ((", ", ": "), True),
    ((", ", ": "), False),
    ((",", ": "), True),
)
_LEAD = b" \t\r\x1e\xef\xbb\xbf"


class EditedLine:
    """One line: `record` may be changed in place, and `text()` is the line with the changes."""

    def __init__(self, piece: bytes) -> None:
        raw = bare(piece)
        body = raw.lstrip(_LEAD)
        if body.startswith(b"data: "):
            body = body[6:]
        self._lead, self._end = raw[: len(raw) - len(body)], end_of(piece)
        self._tail = body[len(body.rstrip()) :]
        self._text = body.rstrip().decode()
        self.record: JsonRecord = json.loads(self._text)
        self._style = _style(self._text, self.record)

    def text(self) -> bytes:
        """The line with what became of the record."""
        separators, ascii_only, slashes = self._style
        made = json.dumps(self.record, separators=separators, ensure_ascii=ascii_only)
        if slashes:
            made = made.replace("/", "\\/")
        return self._lead + made.encode("utf-8", "backslashreplace") + self._tail + self._end


def _style(text: str, record: JsonRecord) -> tuple[tuple[str, str], bool, bool]:
    slashes = "\\/" in text and "/" not in text.replace("\\/", "")
    plain = text.replace("\\/", "/") if slashes else text
    for separators, ascii_only in _STYLES:
        if json.dumps(record, separators=separators, ensure_ascii=ascii_only) == plain:
            return separators, ascii_only, slashes
    separators = (", " if '", "' in text else ",", ": " if '": ' in text[:200] else ":")
    return separators, text.isascii(), slashes
