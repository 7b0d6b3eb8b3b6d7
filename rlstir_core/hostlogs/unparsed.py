"""The row of a line that is not what its log should hold; fields as JSON, and objects that stand in a text as JSON.

What does not belong here: which lines are such; each format's parser says that.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rlstir_core.hostlogs.opening.lines import Line
from rlstir_core.hostlogs.schema import LogContext, LogRow, short_host
from rlstir_core.text import MESSAGE_CHARS, decoded, one_line

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def to_json(fields: object) -> str:
    """Fields as compact JSON."""
    return _encode(fields).decode()


def json_object(text: object) -> dict[str, Any] | None:
    """The object that a text is as JSON, as shippers keep one inside another; None for anything else."""
    if not isinstance(text, str) or text.lstrip()[:1] != "{":
        return None
    try:
        return _decode(text)
    except (ValueError, RecursionError):
        return None


def unparsed(line: Line, channel: str, provider: str, context: LogContext, ts_ns: int, why: str) -> LogRow:
    """The row of a line that cannot be parsed; `fields_json` says why and keeps the line."""
    fields = {"line": line.number, "why": why if line.whole else "the line is too long", "raw": decoded(line.raw)}
    return LogRow(
        ts_ns=ts_ns,
        channel=channel,
        host=short_host(context.host),
        host_said=context.host,
        provider=provider,
        message=one_line(decoded(line.raw[: 4 * MESSAGE_CHARS])),
        fields_json=to_json(fields),
        parsed=False,
        timed=False,
    )
