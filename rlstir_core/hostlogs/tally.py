"""What is wrong with log rows, counted while they pass by.

What does not belong here: whether that is too much (checks, and the summary of an import).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from rlstir_core.hostlogs.schema import LogRow
from rlstir_core.text import storable

FAULTS: Final = ("unparsed", "untimed", "bare", "cut", "year_assumed", "zone_assumed", "order_assumed")
_PLACES = 3  # of rows that could not be parsed


class RowTally:
    """Counts of rows by fault and channel, and where the first stood that could not be parsed."""

    def __init__(self) -> None:
        self.faults: dict[str, Counter[str]] = {name: Counter() for name in FAULTS}
        self.unparsed_at: list[str] = []

    def counted(self, member: str, rows: Iterable[LogRow]) -> Iterator[LogRow]:
        """The same rows."""
        faults = self.faults
        for row in rows:
            if not row.parsed:
                faults["unparsed"][row.channel] += 1
                if len(self.unparsed_at) < _PLACES:
                    self.unparsed_at.append(_place(member, row))
            else:
                if not row.timed:
                    faults["untimed"][row.channel] += 1
                if row.cut:
                    faults["cut"][row.channel] += 1
                if row.bare:
                    faults["bare"][row.channel] += 1
                for what in row.assumed.split():
                    faults[f"{what}_assumed"][row.channel] += 1
            yield row

    def n(self, fault: str) -> int:
        """Rows with a fault, of all channels."""
        return self.faults[fault].total()


def _place(member: str, row: LogRow) -> str:
    """Where a row stood that could not be parsed, and why it could not."""
    try:
        said = msgspec.json.decode(row.fields_json, type=_Why)
    except msgspec.MsgspecError:
        said = _Why()
    where = member if said.line is None else f"{member} line {said.line}"
    return storable(f"{where}: {said.why}" if said.why else where)


class _Why(msgspec.Struct, frozen=True, kw_only=True):
    """What a row that could not be parsed says of itself."""

    line: int | None = None
    why: str = ""
