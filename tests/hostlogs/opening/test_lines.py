"""Lines as they stream: ends, numbers, limits, and NUL bytes as crashes and senders leave them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.hostlogs.opening.lines import lines


def read(raw: bytes, size: int = 7, limit: int = 100) -> list[tuple[int, bytes, bool]]:
    found = lines((raw[at : at + size] for at in range(0, len(raw), size)), limit)
    return [(line.number, line.raw, line.whole) for line in found]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_nul_behind_every_line_is_taken_off(size: int) -> None:
    assert read(b"one\0\ntwo\0\r\n\0three\n", size) == [(1, b"one", True), (2, b"two", True), (3, b"three", True)]


@pytest.mark.parametrize("size", [1, 3, 64, 10_000])
@pytest.mark.parametrize("n", [4, 63, 64, 5_000])
def test_a_block_of_nuls_ends_the_line_before_and_costs_no_other(n: int, size: int) -> None:
    raw = b"torn li" + b"\0" * n + b"whole\n" + b"\0" * n + b"\nlast"
    found = read(raw, size)
    assert [(line, whole) for _, line, whole in found] == [(b"torn li", True), (b"whole", True), (b"last", True)]
    assert [number for number, _, _ in found] == [1, 1, 3]


def test_messages_that_only_nuls_separate_are_lines_of_their_own() -> None:
    assert [line for _, line, _ in read(b"<38>one\0<38>two\0<38>three\0")] == [b"<38>one", b"<38>two", b"<38>three"]


def test_a_single_nul_inside_a_line_stays() -> None:
    assert read(b"a\0b\n") == [(1, b"a\0b", True)]


def test_a_line_over_the_limit_is_cut_and_says_so_with_and_without_nuls() -> None:
    assert read(b"x" * 150 + b"\nshort\n") == [(1, b"x" * 100, False), (2, b"short", True)]
    assert read(b"x" * 150 + b"\0\nshort\n") == [(1, b"x" * 100, False), (2, b"short", True)]


@given(
    st.lists(st.sampled_from([b"a", b"bc" * 20, b"\0", b"\0\0\0", b"\0" * 70, b"\n", b"\r\n", b"<38>x"]), max_size=40),
    st.integers(1, 50),
    st.integers(5, 60),
)
def test_where_a_chunk_ends_changes_no_line(parts: list[bytes], size: int, limit: int) -> None:
    raw = b"".join(parts)
    assert read(raw, size, limit) == read(raw, len(raw) + 1, limit)


def test_where_every_line_counts_nuls_stay() -> None:
    assert [line.raw for line in lines([b"a\0\n\0\0\0\0\n"], 100, keep_nuls=True)] == [b"a\0", b"\0\0\0\0"]
