"""Text that nobody vouches for, made safe for each place where it is shown or kept.

`plain` for a line on a terminal, `escape_md` for markdown and the HTML made from it, `drawable` for a picture,
`printable` and `shown` for the sentence of a verdict or a refusal, `one_line` for a log row's message, `decoded` and
`storable` for columns. What does not belong here: identifiers (`ids.py`), which are refused rather than mended.
"""

from __future__ import annotations

import re
import unicodedata

# Control, format (bidi overrides, zero width), surrogates, private, unassigned
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_SEPARATORS = frozenset({"Zl", "Zp"})

_VALUE_CHARS = 120
_DETAIL_CHARS = 600
MESSAGE_CHARS = 4096  # of a log row's message that are worth a look
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_MD_CHARS = 200
_MD_SPECIAL = re.compile(r"[\\`*\[\]|~$]")
_MD_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")  # one inside a word never opens emphasis
_MD_BLOCK = re.compile(r"^(?:#{1,6}|-+|\+|=+|\d{1,9}[.)])(?=\s|$)")


def plain(text: object, most: int = 2_000) -> str:
    """`text` on one line that a terminal shows as it is: control, bidi and unseen characters become escapes."""
    kept = "".join(
        " " if char.isspace() else ascii(char)[1:-1] if unicodedata.category(char) in _UNSEEN else char
        for char in str(text)[: most + 1]
    )
    return kept if len(kept) <= most else f"{kept[: most - 1]}…"


def escape_md(text: object, limit: int = _MD_CHARS) -> str:
    """`text` as plain words in markdown, in its tables and in HTML made from it.

    No markup, link or control character survives.
    """
    words = "".join(
        " " if (category := unicodedata.category(char)) in _UNSEEN or category in _SEPARATORS else char
        for char in str(text)
    )
    words = re.sub(r"\s+", " ", words).strip()
    if len(words) > limit:
        words = words[: limit - 1] + "…"
    words = _MD_SPECIAL.sub(lambda match: "\\" + match[0], words)
    words = _MD_UNDERSCORE.sub(r"\\_", words)
    words = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    words = words.replace("://", "\\://").replace("@", "\\@")  # renderers make links of bare addresses
    words = re.sub(r"(?i)\b(www)\.", r"\1\\.", words)
    return _MD_BLOCK.sub(lambda match: match[0][:-1] + "\\" + match[0][-1], words)


def drawable(text: str, limit: int = 48) -> str:
    """`text` for a picture: ASCII, since its font has no more for certain, and at most `limit` long."""
    kept = "".join(char if char.isascii() and char.isprintable() else " " for char in text[: 4 * limit])
    return shortened(" ".join(kept.split()), limit)


def shortened(text: str, limit: int) -> str:
    """`text`, or its beginning and two dots."""
    return text if len(text) <= limit else f"{text[: limit - 2]}.."


def shown(value: object) -> str:
    """`value` from hostile input, as short printable ASCII in a sentence."""
    if isinstance(value, (str, bytes)):
        text = ascii(value[:_VALUE_CHARS])
        return text if len(text) <= _VALUE_CHARS else f"{text[:_VALUE_CHARS]}..."
    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < 2**80):
        return repr(value)
    return f"a value of type {type(value).__name__}"


def printable(text: str) -> str:
    """`text` as bounded printable ASCII: what every detail passes through before it leaves the reader."""
    if len(text) <= _DETAIL_CHARS and text.isascii() and text.isprintable():
        return text
    escaped = "".join(c if " " <= c <= "~" else f"\\u{ord(c):04x}" for c in text[:_DETAIL_CHARS])
    return escaped if len(escaped) <= _DETAIL_CHARS else f"{escaped[: _DETAIL_CHARS - 3]}..."


def one_line(message: str, limit: int = MESSAGE_CHARS) -> str:
    """A log's `message` in one line without control characters, cut to the limit."""
    if len(message) > limit:
        message = message[:limit] + "…"
    if message.isprintable():
        return message
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", message)


def decoded(raw: bytes) -> str:
    """UTF-8, with `\\\\xNN` where it is not."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace")


def storable(text: str) -> str:
    """Text that Arrow can hold: lone surrogates become escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
