"""Text that nobody vouches for, shown safely, and the row of a line that is not what its log should hold.

What does not belong here: which lines are such; each format's parser says that.
"""

from __future__ import annotations

import re

import msgspec

from rlstir_core.hostlogs.lines import Line
from rlstir_core.hostlogs.schema import LogContext, LogRow, short_host

SHOWN = 4096  # characters of a message that are worth a look
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_encode = msgspec.json.Encoder().encode


def text(raw: bytes) -> str:
    """UTF-8, with `\\\\xNN` where it is not."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("utf-8", "backslashreplace")


def shown(said: str, limit: int = SHOWN) -> str:
    """`said` in one line without control characters, cut to the limit."""
    if len(said) > limit:
        said = said[:limit] + "…"
    if said.isprintable():
        return said
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", said)


def to_json(fields: object) -> str:
    """Fields as compact JSON."""
    return _encode(fields).decode()


def unparsed(line: Line, channel: str, provider: str, context: LogContext, ts_ns: int, why: str) -> LogRow:
    """The row of a line that cannot be parsed; `fields_json` says why and keeps the line."""
    fields = {"line": line.number, "why": why if line.whole else "the line is too long", "raw": text(line.raw)}
    return LogRow(
        ts_ns=ts_ns,
        channel=channel,
        host=short_host(context.host),
        host_said=context.host,
        provider=provider,
        message=shown(text(line.raw[: 4 * SHOWN])),
        fields_json=to_json(fields),
        parsed=False,
    )
