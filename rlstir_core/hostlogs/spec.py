"""What a log format is made of: its reader, and what the reader may learn from the whole log beforehand.

A text format is recognised by trying its reader (`opening/recognise.py`), so that what is recognised is what can be
read. Each format's module ends in a `SPEC` of its own; the contract's table of log members names the module. What
does not belong here: any format.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rlstir_core.contract.members import LogMember, log_of
from rlstir_core.hostlogs.opening.encodings import utf8
from rlstir_core.hostlogs.schema import LogContext, LogRow, Parser, Survey
from rlstir_core.hostlogs.times.reading import LogEvidence, LogReading


@dataclass(frozen=True, kw_only=True)
class ParserSpec:
    """A log format. `magic` is what a binary file begins with; a format without is text, in any Unicode encoding.

    `rows` makes a row of everything, and one that is not parsed of what is not of this format.
    """

    format: str
    rows: Parser
    magic: bytes = b""
    survey: Survey | None = None

    @property
    def member(self) -> LogMember:
        """What such a log is called in an episode."""
        return log_of(self.format)

    def read(self, chunks: Iterable[bytes], context: LogContext) -> Iterator[LogRow]:
        """The rows of a log as it lies on disk."""
        return self.rows(chunks if self.magic else utf8(chunks), context)

    def surveyed(self, chunks: Iterable[bytes], evidence: LogEvidence) -> LogReading:
        """What the whole log tells of its times; what the user says of zones stays as it is."""
        if self.survey is None:
            return LogReading(zone=evidence.zone, zones=evidence.zones)
        return self.survey(utf8(chunks), evidence)
