"""Safe identifiers: text from a tarball is parsed once, here, into a type that may go anywhere.

Identifiers end up in paths, partition keys, markdown and HTML, so the alphabet is narrow: ASCII letters,
digits, `. _ -`, beginning with a letter or digit, at most 63 characters, no `..`. Two identifiers that
differ only in case are the same (`fold`). What does not belong here: any meaning of the identifiers.
"""

from __future__ import annotations

import re
from typing import NewType

from rlstir_core.errors import InvalidId

HostId = NewType("HostId", str)
EpisodeId = NewType("EpisodeId", str)
SafeName = NewType("SafeName", str)

MAX_LENGTH = 63
_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)


def is_safe(text: object) -> bool:
    """True when `text` may be an identifier."""
    return isinstance(text, str) and _PATTERN.fullmatch(text) is not None and ".." not in text


def safe_name(text: object, what: str = "identifier") -> SafeName:
    """The identifier in `text`; InvalidId says what is wrong with it otherwise."""
    if not is_safe(text):
        shown = repr(text)[:80] if isinstance(text, str) else type(text).__name__
        raise InvalidId(
            f"{what} {shown} is not a safe identifier; use ASCII letters, digits and . _ -, beginning with a "
            f"letter or digit, at most {MAX_LENGTH} characters, without '..'"
        )
    return SafeName(str(text))


def host_id(text: object) -> HostId:
    """A host identifier, or InvalidId."""
    return HostId(safe_name(text, "host_id"))


def episode_id(text: object) -> EpisodeId:
    """An episode identifier, or InvalidId."""
    return EpisodeId(safe_name(text, "episode_id"))


def fold(text: str) -> str:
    """The form under which two identifiers are compared: case does not tell them apart."""
    return text.lower()


def slug(text: str, fallback: str = "x") -> SafeName:
    """A safe identifier made from foreign text (importers): other characters become '-'."""
    cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", text, flags=re.ASCII)
    cleaned = re.sub(r"\.{2,}", ".", cleaned).lstrip("._-")[:MAX_LENGTH].rstrip("-")
    return SafeName(cleaned or fallback)
