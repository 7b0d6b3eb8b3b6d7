"""The ring: numbered without a gap, bounded, and whole after whatever end its process found."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.live.serving.ring import Ring, RingLimits

SMALL = RingLimits(bytes=3_000, segment_bytes=1_000, memory_bytes=500)


def all_after(ring: Ring, after: int) -> list[tuple[int, bytes]]:
    found: list[tuple[int, bytes]] = []
    while part := ring.read(after, 300).events:
        found += part
        after = part[-1][0]
    return found


def test_what_was_appended_is_read_in_order_from_any_place(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    first, last = ring.append([b"%d" % n for n in range(50)])
    assert (ring.first, ring.last, last - first) == (first, last, 49)
    assert all_after(ring, first - 1) == [(first + n, b"%d" % n) for n in range(50)]
    assert ring.read(first + 20, 1).events == ((first + 21, b"21"),)
    assert ring.read(last).events == () and ring.read(last).lost is None


def test_another_process_goes_on_with_the_next_number(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    _, last = ring.append([b"a", b"b"])
    ring.close()
    again = Ring(tmp_path)
    assert again.append([b"c"]) == (last + 1, last + 1)
    assert [event for _, event in all_after(again, last - 2)] == [b"a", b"b", b"c"]


@pytest.mark.parametrize("torn", [b"9", b"99 half an ev", b"7 of another number\n", b"\x00\x00\x00\n"])
def test_a_torn_end_is_cut_off_since_nobody_was_shown_it(tmp_path: Path, torn: bytes) -> None:
    ring = Ring(tmp_path)
    _, last = ring.append([b"a", b"b"])
    ring.close()
    (path,) = tmp_path.glob("*.events")
    with path.open("ab") as file:
        file.write(torn)
    again = Ring(tmp_path)
    assert again.last == last
    again.append([b"c"])
    again.close()
    assert [event for _, event in all_after(Ring(tmp_path), last - 2)] == [b"a", b"b", b"c"]


def test_an_empty_segment_of_a_killed_process_is_used(tmp_path: Path) -> None:
    ring = Ring(tmp_path, RingLimits(segment_bytes=1))
    _, last = ring.append([b"a"])
    ring.close()
    (tmp_path / f"{last + 1:020d}.events").touch()
    again = Ring(tmp_path)
    assert again.append([b"b"]) == (last + 1, last + 1)
    assert [event for _, event in all_after(again, last - 1)] == [b"a", b"b"]


def test_the_ring_is_bounded_on_disk_and_in_memory_and_says_what_it_lost(tmp_path: Path) -> None:
    ring = Ring(tmp_path, SMALL)
    first, _ = ring.append([b"x" * 40])
    for n in range(500):
        ring.append([b"%038d" % n])
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= SMALL.bytes + SMALL.segment_bytes
    assert sum(map(len, ring._recent)) <= SMALL.memory_bytes
    found = ring.read(first)
    assert found.lost == ring.first - 1 > first and found.events[0][0] == ring.first
    numbers = [number for number, _ in all_after(ring, ring.first - 1)]
    assert numbers == list(range(ring.first, ring.last + 1))


def test_a_place_of_another_ring_is_a_lost_place(tmp_path: Path) -> None:
    ring = Ring(tmp_path)
    ring.append([b"a"])
    assert ring.read(ring.last + 5).lost == ring.first - 1
    ring.close()
    for path in tmp_path.iterdir():
        path.unlink()
    time.sleep(0.01)
    assert Ring(tmp_path).first > ring.last  # numbers are never used again


def test_what_lies_before_a_hole_is_let_go(tmp_path: Path) -> None:
    ring = Ring(tmp_path, RingLimits(segment_bytes=1))
    for word in (b"a", b"b", b"c"):
        ring.append([word])
    ring.close()
    sorted(tmp_path.iterdir())[1].unlink()
    assert [event for _, event in all_after(Ring(tmp_path), ring.last - 1)] == [b"c"]
    assert Ring(tmp_path).first == ring.last


def test_a_full_disk_keeps_none_of_the_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    ring = Ring(tmp_path)
    _, last = ring.append([b"a"])
    real = os.write

    def full(handle: int, data: memoryview) -> int:
        if len(data) > 5:
            return real(handle, data[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        ring.append([b"b" * 6])
    monkeypatch.undo()
    assert ring.append([b"c"]) == (last + 1, last + 1)
    ring.close()
    assert [event for _, event in all_after(Ring(tmp_path), last - 1)] == [b"a", b"c"]


@given(st.lists(st.lists(st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" ")), min_size=1), max_size=30))
def test_every_reader_sees_every_event_once_across_any_restarts(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]]
) -> None:
    folder = tmp_path_factory.mktemp("ring")
    ring = Ring(folder, RingLimits(segment_bytes=200, memory_bytes=100))
    before = ring.last
    for at, batch in enumerate(batches):
        ring.append(batch)
        if at % 3 == 2:
            ring.close()
            ring = Ring(folder, RingLimits(segment_bytes=200, memory_bytes=100))
    events = [event for batch in batches for event in batch]
    start = ring.first - 1 if events else before
    assert all_after(ring, start) == [(start + 1 + at, event) for at, event in enumerate(events)]
    ring.close()
