"""A bounded ring of events on disk, numbered without a gap and without a repeat, also across a server that is killed.

Segments of lines `<number> <event>`; an event is written before anybody is shown it or told that it was accepted. A
process that is killed in the middle of a line leaves a torn end, which the next one cuts off: nobody saw it. (A power
cut may take the last seconds with it.) What does not belong here: what an event is, and who may write one.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlstir_core.errors import StoreError

_SUFFIX = ".events"
_STRIDE = 64 * 1024  # bytes between two places of a segment that are known


@dataclass(frozen=True, kw_only=True)
class RingLimits:
    """How much is kept."""

    bytes: int = 64 * 2**20  # on disk
    segment_bytes: int = 4 * 2**20
    memory_bytes: int = 8 * 2**20  # of the newest


@dataclass(frozen=True, kw_only=True)
class Slice:
    """Some events in their order; those up to `lost` are not kept any more."""

    events: tuple[tuple[int, bytes], ...]
    lost: int | None = None


@dataclass(kw_only=True)
class _Segment:
    path: Path
    first: int
    size: int = 0
    last: int = 0
    numbers: list[int] = field(default_factory=list)  # events whose places are known
    offsets: list[int] = field(default_factory=list)

    def wrote(self, number: int, offset: int) -> None:
        if not self.offsets or offset - self.offsets[-1] >= _STRIDE:
            self.numbers.append(number)
            self.offsets.append(offset)
        self.last = number


class Ring:
    """The ring in a folder, of which one process at a time is the writer."""

    def __init__(self, folder: Path, limits: RingLimits | None = None) -> None:
        self._folder, self._limits = folder, limits or RingLimits()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._segments: list[_Segment] = []
        self._handle = -1
        self._recent: list[bytes] = []
        self._recent_bytes = 0
        paths = sorted(path for path in folder.glob(f"*{_SUFFIX}") if path.stem.isdigit())
        for path in paths:
            segment = _opened(path)
            if self._segments and segment.first != self._segments[-1].last + 1:
                self._remove(self._segments)  # what lies before a hole cannot be handed on without one
            self._segments.append(segment)
        self._segments = [segment for segment in self._segments if segment.last or segment is self._segments[-1]]
        last = self._segments[-1] if self._segments else None
        # A ring that was removed begins above all that it ever said: by the clock, in milliseconds.
        self._next = (last.last + 1 if last.last else last.first) if last else time.time_ns() // 1_000_000
        if last is not None:
            self._handle = os.open(last.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    @property
    def first(self) -> int:
        """The number of the oldest event that is kept, or of the next one."""
        return self._segments[0].first if self._segments else self._next

    @property
    def last(self) -> int:
        """The number of the newest event; one less than the next where there is none."""
        return self._next - 1

    def append(self, events: Sequence[bytes]) -> tuple[int, int]:
        """The numbers of the first and the last of these events, which are kept now: all of them or, OSError, none."""
        if not self._segments or self._segments[-1].size >= self._limits.segment_bytes:
            self._begin_segment()
        segment = self._segments[-1]
        lines = [b"%d %s\n" % (self._next + at, event) for at, event in enumerate(events)]
        blob = memoryview(b"".join(lines))
        written = 0
        try:
            while written < len(blob):
                written += os.write(self._handle, blob[written:])
        except OSError:
            os.ftruncate(self._handle, segment.size)
            raise
        first, offset = self._next, segment.size
        for at, line in enumerate(lines):
            segment.wrote(first + at, offset)
            offset += len(line)
        segment.size = offset
        self._next += len(events)
        self._remember(events)
        self._forget()
        return first, self._next - 1

    def read(self, after: int, most_bytes: int = 256 * 1024) -> Slice:
        """Events that follow number `after`, at least one where there is one, else about `most_bytes` of them."""
        lost = None
        if after < self.first - 1 or after > self.last:
            lost = after = self.first - 1
        events: list[tuple[int, bytes]] = []
        size = 0
        recent_first = self._next - len(self._recent)
        if after + 1 >= recent_first:
            for at in range(after + 1 - recent_first, len(self._recent)):
                events.append((recent_first + at, self._recent[at]))
                size += len(self._recent[at])
                if size >= most_bytes:
                    break
            return Slice(events=tuple(events), lost=lost)
        place = bisect_right([segment.first for segment in self._segments], after + 1) - 1
        segment = self._segments[place]
        known = max(0, bisect_right(segment.numbers, after + 1) - 1)
        with segment.path.open("rb") as file:
            file.seek(segment.offsets[known])
            for line in file:
                number, _, event = line.rstrip(b"\n").partition(b" ")
                if int(number) > after:
                    events.append((int(number), event))
                    size += len(event)
                    if size >= most_bytes or int(number) == segment.last:
                        break
        return Slice(events=tuple(events), lost=lost)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _begin_segment(self) -> None:
        self.close()
        path = self._folder / f"{self._next:020d}{_SUFFIX}"
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._segments.append(_Segment(path=path, first=self._next))

    def _remember(self, events: Sequence[bytes]) -> None:
        self._recent.extend(events)
        self._recent_bytes += sum(map(len, events))
        if self._recent_bytes > self._limits.memory_bytes:
            cut = 0
            while self._recent_bytes > self._limits.memory_bytes // 2:
                self._recent_bytes -= len(self._recent[cut])
                cut += 1
            del self._recent[:cut]

    def _forget(self) -> None:
        """Removes the oldest segments while there is more than may be kept."""
        while len(self._segments) > 1 and sum(each.size for each in self._segments) > self._limits.bytes:
            self._segments.pop(0).path.unlink(missing_ok=True)

    @staticmethod
    def _remove(segments: list[_Segment]) -> None:
        for segment in segments:
            segment.path.unlink(missing_ok=True)
        segments.clear()


def _opened(path: Path) -> _Segment:
    """A segment of an earlier process, its torn end cut off."""
    segment = _Segment(path=path, first=int(path.stem))
    if path.is_symlink() or not path.is_file():
        raise StoreError(f"{path} is no file that a live view wrote; remove it")
    expected, offset = segment.first, 0
    with path.open("rb") as file:
        for line in file:
            number, _, _ = line.partition(b" ")
            if not line.endswith(b"\n") or number != b"%d" % expected:
                break
            segment.wrote(expected, offset)
            offset += len(line)
            expected += 1
    if offset < path.stat().st_size:
        os.truncate(path, offset)
    segment.size = offset
    return segment
