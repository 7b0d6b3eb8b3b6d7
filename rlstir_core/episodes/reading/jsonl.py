"""Chunks of a JSONL member to typed rows: fast where the lines are clean, careful where they are not.

A bad line loses only itself and is counted and named; a line that holds two records gives both. What does
not belong here: what a row holds (`rowspec.py`) and what strict JSON is (`strict.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rlstir_core.arrays import Floats, Ints
from rlstir_core.contract.reasons import EpisodeRejected, ReasonCode
from rlstir_core.episodes.limits import KIB, Limits
from rlstir_core.episodes.reading.rowspec import Block, RowSpec
from rlstir_core.episodes.reading.strict import parse_line

_PIECE = 16 * KIB  # what a fault in a large chunk sends to the careful parser
_NEWLINE = 10
_STEP_CELLS = 400_000  # values decoded at a time, so that many tiny rows cost no memory


@dataclass
class Budget:
    """What all sources of one episode may still cost."""

    cells: int
    slow_lines: int
    slow_chars: int
    telemetry_bytes: int

    @classmethod
    def of(cls, limits: Limits) -> Budget:
        return cls(limits.cells, limits.slow_lines, limits.slow_chars, limits.telemetry_bytes)


class LineSplitter:
    """Cuts chunks into blocks of whole lines; a line over the limit is dropped while it streams."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest: list[bytes] = []
        self._n_rest = 0
        self._dropping = False
        self.n_too_long = 0

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that `chunk` completes."""
        if self._dropping:
            end = chunk.find(b"\n")
            if end < 0:
                return b""
            chunk, self._dropping = chunk[end + 1 :], False
        end = chunk.rfind(b"\n") + 1
        if not end:
            self._keep(chunk)
            return b""
        lines = chunk[:end]
        if self._rest:
            first = chunk.find(b"\n") + 1
            if self._n_rest + first > self._limit:
                self.n_too_long += 1
                lines = lines[first:]
            else:
                lines = b"".join([*self._rest, lines])
        self._rest, self._n_rest = [], 0
        self._keep(chunk[end:])
        return lines if len(lines) <= self._limit else self._without_long(lines)

    def finish(self) -> bytes:
        """The last line, if it had no end."""
        rest = b"".join(self._rest)
        self._rest, self._n_rest = [], 0
        return rest

    def _without_long(self, lines: bytes) -> bytes:
        parts, start = [], 0
        while start < len(lines):
            end = lines.rfind(b"\n", start, start + self._limit) + 1
            if end:
                parts.append(lines[start:end])
            else:
                self.n_too_long += 1
                end = lines.index(b"\n", start) + 1
            start = end
        return b"".join(parts)

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        self._n_rest += len(piece)
        if self._n_rest > self._limit:
            self._rest, self._n_rest, self._dropping = [], 0, True
            self.n_too_long += 1
        else:
            self._rest.append(piece)


class RowReader:
    """Reads one source's member; afterwards `table` gives its columns and the counts stand beside it."""

    def __init__(self, name: str, spec: RowSpec, limits: Limits, budget: Budget) -> None:
        self.name = name
        self.spec = spec
        self.n_rows = 0
        self.n_damaged = 0
        self.n_torn = 0
        self.faults: list[str] = []
        self._limits = limits
        self._budget = budget
        self._splitter = LineSplitter(limits.line_bytes)
        self._blocks: list[Block] = []
        self._n_lines = 0

    @property
    def n_bad(self) -> int:
        return self.n_damaged + self._splitter.n_too_long

    def feed(self, chunk: bytes) -> None:
        """Reads a chunk of the member."""
        self._budget.telemetry_bytes -= len(chunk)
        if self._budget.telemetry_bytes < 0:
            raise EpisodeRejected(
                ReasonCode.ARCHIVE_TOO_LARGE,
                f"{self.name}.jsonl brings telemetry over {self._limits.telemetry_bytes} bytes; split it",
            )
        lines = self._splitter.feed(chunk)
        if lines:
            self._read(lines)

    def finish(self) -> None:
        """Reads the line that had no end."""
        rest = self._splitter.finish()
        if rest:
            self._read(rest + b"\n")
        if self._splitter.n_too_long:
            self._fault(f"{self._splitter.n_too_long} lines over {self._limits.line_bytes} bytes")

    def table(self) -> tuple[Ints, Floats]:
        """All rows: (n, integer columns) and (n, float columns)."""
        if not self._blocks:
            empty = self.spec.block([], [])
            return empty.ints, empty.floats
        if len(self._blocks) == 1:
            return self._blocks[0].ints, self._blocks[0].floats
        return (
            np.concatenate([block.ints for block in self._blocks]),
            np.concatenate([block.floats for block in self._blocks]),
        )

    def _read(self, lines: bytes) -> None:
        n = int(np.count_nonzero(np.frombuffer(lines, dtype=np.uint8) == _NEWLINE))
        if self._n_lines + n > self._limits.rows:
            self._refuse_rows()
        width = len(self.spec.int_names) + len(self.spec.float_names)
        parts = [lines]
        if n * width > _STEP_CELLS:
            parts = _pieces(lines, max(_PIECE, len(lines) * _STEP_CELLS // (n * width)))
        for part in parts:
            if not self._read_fast(part, regular=True):
                for piece in _pieces(part, _PIECE):
                    if len(piece) == len(part) or not self._read_fast(piece, regular=False):
                        self._read_carefully(piece)

    def _read_fast(self, lines: bytes, regular: bool) -> bool:
        block = self.spec.regular(lines) if regular else None
        if block is None:
            block = self.spec.typed(lines)
        if block is None:
            return False
        self._add(block)
        self._n_lines += len(block)
        return True

    def _read_carefully(self, lines: bytes) -> None:
        ints, floats = [], []
        for raw in lines[:-1].split(b"\n"):
            self._n_lines += 1
            if not raw.strip():
                continue
            line = parse_line(raw, self._limits.nesting, self._budget.slow_lines, self._budget.slow_chars)
            self._budget.slow_lines -= len(line.objects) + line.n_damaged
            self._budget.slow_chars -= line.work
            if self._budget.slow_lines < 0 or self._budget.slow_chars < 0:
                raise EpisodeRejected(
                    ReasonCode.JSON_TOO_MANY_FAULTS,
                    f"over {self._limits.slow_lines} records or {self._limits.slow_chars} characters need care,"
                    f" the last in {self.name}.jsonl; mend the recorder",
                )
            if line.n_damaged:
                self.n_damaged += line.n_damaged
                self._fault(f"line {self._n_lines}: {line.fault}")
            elif len(line.objects) > 1:
                self.n_torn += 1
                self._fault(f"line {self._n_lines}: {len(line.objects)} records in one line, all kept")
            for record in line.objects:
                row = self.spec.careful(record)
                if isinstance(row, str):
                    self.n_damaged += 1
                    self._fault(f"line {self._n_lines}: {row}")
                else:
                    ints.append(row[0])
                    floats.append(row[1])
        if ints:
            self._add(self.spec.block(ints, floats))

    def _add(self, block: Block) -> None:
        if not len(block):
            return
        self.n_rows += len(block)
        self._budget.cells -= block.ints.size + block.floats.size
        if self._budget.cells < 0:
            self._refuse_rows()
        self._blocks.append(block)

    def _refuse_rows(self) -> None:
        raise EpisodeRejected(
            ReasonCode.CHANNEL_TOO_MANY_ROWS,
            f"{self.name}.jsonl holds more than {self._limits.rows} lines, or all sources together more than "
            f"{self._limits.cells} values; record shorter episodes",
        )

    def _fault(self, text: str) -> None:
        if len(self.faults) < self._limits.faults_kept:
            self.faults.append(text)


def _pieces(lines: bytes, size: int) -> list[bytes]:
    """Whole lines in pieces of about `size` bytes."""
    pieces, start = [], 0
    while start < len(lines):
        end = lines.find(b"\n", min(start + size, len(lines) - 1)) + 1
        pieces.append(lines[start:end])
        start = end
    return pieces
