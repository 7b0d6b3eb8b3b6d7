"""How much of anything a reader accepts from an episode; together the limits bound CPU time and memory.

What does not belong here: the checks themselves, which stand where the bytes are read.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from rlstir_core.errors import ConfigError

KIB = 1024
MIB = 1024 * KIB
HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one reading; the defaults keep the worst input under 2 s of CPU and 256 MiB."""

    file_bytes: int = 256 * MIB  # the tarball on disk
    window_bytes: int = 8 * MIB  # the zstd window: what the decompressor must hold
    blocks: int = 100_000  # zstd blocks; an honest frame has one for every 128 KiB or flush
    total_bytes: int = 256 * MIB  # decompressed
    telemetry_bytes: int = 64 * MIB  # decompressed bytes of all members that are parsed
    members: int = 4_096
    pax_bytes: int = 8 * KIB
    meta_bytes: int = 256 * KIB
    labels_bytes: int = 2 * MIB
    labels: int = 10_000
    line_bytes: int = MIB
    nesting: int = 32
    text_chars: int = 256  # one text value of a telemetry row
    rows: int = 250_000  # lines of one source
    cells: int = 2_500_000  # rows x fields of all sources: almost 3 hours of the lab's
    slow_lines: int = 100_000  # that need the careful parser; every record of a torn line counts as one
    slow_chars: int = 16 * MIB  # characters that it may go over, repeats included, nested values counted as more
    faults_kept: int = 8  # faults of one source that are named; all are counted
    span_ns: int = 24 * HOUR_NS
    margin_ns: int = 60_000_000_000  # rows this far outside the episode are kept
    step_ns: int = 500_000_000  # wall minus mono may move by this much between two rows

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) <= 0:
                raise ConfigError(f"limit {field.name} is {getattr(self, field.name)}; give a positive number")
