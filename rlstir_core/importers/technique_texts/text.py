"""One technique text: what somebody wrote about techniques, and how files of such texts are opened.

What does not belong here: any project's form (one module each).
"""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

import msgspec

from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.techniques import current_id, tactics_of

KINDS = ("command", "detection", "prose")
_MAX_TEXT = 4_000  # characters of one text
_EVENTS_AT_MOST = 64
_SPACES = re.compile(r"[ \t]+")


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """One text and the techniques that it speaks of."""

    source: str
    id: str
    techniques: tuple[str, ...]
    kind: str  # what attackers type, what a rule looks for, how it is told
    text: str
    platform: str = ""
    events: tuple[str, ...] = ()  # `sysmon|1`: the events that it looks at
    tactics: tuple[str, ...] = ()  # of the technique, where the text is ATT&CK's own


def checked(text: Text) -> Text:
    """The text with ids and tactics of now; ConfigError where it names no technique or is of no known kind."""
    if text.kind not in KINDS:
        raise ConfigError(f"kind is not one of {', '.join(KINDS)}")
    if not text.techniques:
        raise ConfigError("it names no technique")
    return msgspec.structs.replace(
        text,
        techniques=tuple(dict.fromkeys(current_id(each) for each in text.techniques)),
        tactics=tuple(dict.fromkeys(name for each in text.tactics for name in tactics_of(each))),
        events=text.events[:_EVENTS_AT_MOST],
        text=text.text[:_MAX_TEXT],
    )


def said(*parts: object) -> str:
    """Texts of a file after one another, without the blanks of its layout."""
    return _SPACES.sub(" ", " ".join(part.strip() for part in parts if isinstance(part, str) and part.strip()))


def short_id(text: str) -> str:
    """A name for what has none of its own, the same whenever it is read."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def read_bytes(path: Path, most: int) -> bytes:
    """The content of a file, plain or gzip; StoreError where it cannot be read or holds more than `most`."""
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as handle:
            data = handle.read(most + 1)
    except (OSError, EOFError) as error:
        raise StoreError(f"{path} cannot be read ({error}); name a JSONL file, plain or gzip") from None
    if len(data) > most:
        raise StoreError(f"{path} holds over {most} bytes; split it")
    return bytes(data)
