"""Values of journal fields: text, bytes that are no UTF-8, numbers, and several values of one field.

What does not belong here: what a field means (`parser.py`).
"""

from __future__ import annotations

from rlstir_core.hostlogs.schema import MISSING
from rlstir_core.text import decoded


def json_value(value: object) -> object:
    """A value of the JSON export: null, an array of bytes, or an array of values."""
    if not isinstance(value, list):
        return value
    if value and all(type(item) is int and 0 <= item < 256 for item in value):
        return shown_bytes(bytes(value))
    if all(not isinstance(item, list) or all(type(part) is int for part in item) for item in value):
        return [json_value(item) for item in value]
    return value


def shown_bytes(raw: bytes) -> object:
    """Bytes as text where they are UTF-8, else as `{"hex": …}`."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"hex": raw.hex()}


def text(value: object) -> str:
    """A field as text: the first of several values, and what is no UTF-8 with `\\\\xNN`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return text(value[0]) if value and not isinstance(value[0], list) else ""
    if isinstance(value, dict):
        hex_text = value.get("hex")
        try:
            return decoded(bytes.fromhex(hex_text)) if isinstance(hex_text, str) else ""
        except ValueError:
            return ""
    return "" if value is None else str(value)


def integer(value: object) -> int:
    """A field as a number that is not negative; -1 where it is none."""
    number = text(value)
    return int(number) if number.isdecimal() and number.isascii() and len(number) < 10 else MISSING
