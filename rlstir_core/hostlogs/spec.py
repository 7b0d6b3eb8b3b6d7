"""What a log format is made of: how a file of it is recognised, and how its bytes become rows.

Each format's module ends in a `SPEC` of its own; the contract's table of log members names the module. What does not
belong here: any format.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

from rlstir_core.contract.members import LogMember, log_of
from rlstir_core.hostlogs.schema import Parser

_LINES = 40
_JSON_KEY = re.compile(rb'"([^"\\]{1,80})"\s*:', re.ASCII)


class Head:
    """The beginning of a text file, seen as lines or as JSON."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw.removeprefix(b"\xef\xbb\xbf")
        self.is_json = self.raw.lstrip()[:1] in (b"{", b"[")

    @functools.cached_property
    def lines(self) -> list[bytes]:
        """The first forty lines that are not blank; none of JSON."""
        if self.is_json:
            return []
        return [line.rstrip(b"\r") for line in self.raw.split(b"\n")[:_LINES] if line.strip()]

    @functools.cached_property
    def keys(self) -> frozenset[bytes]:
        """The keys of JSON; none of lines."""
        return frozenset(_JSON_KEY.findall(self.raw)) if self.is_json else frozenset()

    def mostly(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether at least half of the lines begin so."""
        n = sum(pattern.match(line) is not None for line in self.lines)
        return n > 0 and n / len(self.lines) >= 0.5


@dataclass(frozen=True, kw_only=True)
class ParserSpec:
    """A log format: `magic` (what a binary file begins with) or `recognised` tells a file of it, `rows` reads it."""

    format: str
    rows: Parser
    magic: bytes = b""
    recognised: Callable[[Head], bool] | None = None

    @property
    def member(self) -> LogMember:
        """What such a log is called in an episode."""
        return log_of(self.format)
