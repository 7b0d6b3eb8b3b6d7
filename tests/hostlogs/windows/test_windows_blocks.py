"""Blocks of lines that are proven clean at once: what passes is what the careful way by lines gives, to the byte."""

from __future__ import annotations

import json
from typing import Any
from unittest import mock

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.episodes.reading.strict import parse_line
from rlstir_core.hostlogs.opening.lines import lines
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.windows.flat_blocks import FlatBlocks, blocks, flat_objects
from rlstir_core.hostlogs.windows.json_events import rows

GOOD = b'{"EventID":1,"Channel":"Security","Hostname":"a","Image":"C:\\\\a b.exe","tags":["t"],"n":null,"f":1.5}'
REPEATED = [
    b'{"EventID":1,"EventID":2}',
    b'{"EventID":1,"EventID" :2}',
    b'{"EventID":1,"EventID"\t:2}',
    b'{"EventID":1,"EventID"' + b" " * 40 + b":2}",
    b'{"EventID":1,"a:":1,"a:":2}',
    b'{"EventID":1,"a\\\\":1,"a\\\\":2}',
    b'{"EventID":1,"a ":1,"a ":2}',
    b'{"EventID":1,":":":",":":":"}',
    b'{"EventID":1,"":1,"":2}',
    b'{"EventID":1,"\\"":1,"\\"":2}',
    b'{"EventID":1,"a":1,"\\u0061":2}',
    b'{"EventID":1,"a\\u0022:":1,"a\\u0022:":2}',
    b'{"EventID":1,"a\\u003a":1,"a\\u003a" :2,"b":"x :"}',
    b'{"EventID":1,"a":"x\\":","a":"::1"}',
    b'{"EventID":1,"a":" :","a" : "!:"}',
]
CLEAN = [
    b'{"EventID":1,"Channel":"System","a":"::1","b":":","c":"x\\":y","d":"x :y","e":"!:"}',
    b'{"EventID" : 1,"Channel":"System", "a" : ":x", "tags": [":x", "\\":"]}',
    b'{"EventID":1,"Channel":"System"}\r',
    b'{"EventID":1,"Channel":"System"} \t\r',
    '{"EventID":1,"Channel":"System","Image":"ä – 😀"}'.encode(),
]
OTHER = [
    b"",
    b"{",
    b"}",
    b'{"EventID":1}{"EventID":2}',
    b'{"EventID":1',
    b',"a":2}',
    b'{"x":{"EventID":1}}',
    b"[]",
    b" ",
]
OTHER += [
    b'{"EventID":',
    b"1}",
    b'{"EventID":1}x',
    b'{"EventID":1,"x":"\\ud800"}',
    b'{"EventID":1,"x":18446744073709551615}',
]


def both(raw: bytes, size: int = 1 << 16, **context: Any) -> tuple[list[LogRow], list[LogRow]]:
    def read() -> list[LogRow]:
        return list(rows((raw[at : at + size] for at in range(0, len(raw), size)), LogContext(**context)))

    fast = read()
    with mock.patch.object(FlatBlocks, "read", lambda self, block: None):
        return fast, read()


@pytest.mark.parametrize("line", REPEATED)
def test_a_repeated_key_never_passes(line: bytes) -> None:
    assert flat_objects(GOOD + b"\n" + line + b"\n" + GOOD) is None
    fast, slow = both(b"\n".join((GOOD, line, GOOD)))
    assert [row.parsed for row in fast] == [True, False, True]
    assert fast == slow


@pytest.mark.parametrize("line", CLEAN)
def test_colons_in_texts_do_not_send_a_block_to_the_slow_way(line: bytes) -> None:
    found = flat_objects(b"\n".join((GOOD, line, GOOD, b"")))
    assert found is not None
    assert found[1] == [json.loads(part) for part in (GOOD, line, GOOD)]
    fast, slow = both(b"\n".join((GOOD, line, GOOD)))
    assert fast == slow
    assert all(row.parsed for row in fast)


@pytest.mark.parametrize(
    "text",
    [
        GOOD + GOOD + b'\n{"EventID":\n1}',  # as many objects as lines
        GOOD + b"\n" + GOOD + b" " + GOOD + b"\n\n",
        b'{"EventID":1,\n"x":"{"}',
        b'{"x":\n"{"}' + GOOD,
        GOOD + b"\n\n" + GOOD,
        b" " + GOOD,
        b'{"EventID":1,"x":{"y":1}}',
    ],
)
def test_lines_that_are_not_one_object_each_are_not_proven(text: bytes) -> None:
    assert flat_objects(text) is None
    fast, slow = both(GOOD + b"\n" + text)
    assert fast == slow


NAMES = st.sampled_from(["a", "EventID", "a:", "a\\", 'a"', "a ", ":", "", '":', "\\", "\\\\", "a,", "é", '\\":', " :"])
TEXTS = st.text(st.sampled_from(list(':"\\ {}[],!\t\nax\u00e9')), max_size=6)
VALUES = TEXTS | st.integers(-(2**63), 2**63 - 1) | st.none() | st.booleans() | st.lists(TEXTS, max_size=2)
GAPS = st.sampled_from(["", "", "", " ", "\t", "  ", " \r"])


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A flat object as an attacker might write it: any key again, white space and escapes anywhere."""
    members = []
    for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=4)):
        key = json.dumps(name, ensure_ascii=draw(st.booleans()))
        if name and draw(st.integers(0, 4)) == 0:
            key = '"' + "".join(f"\\u{ord(c):04x}" for c in name) + '"'
        text = json.dumps(value, ensure_ascii=draw(st.booleans()))
        members.append(f"{draw(GAPS)}{key}{draw(GAPS)}:{draw(GAPS)}{text}{draw(GAPS)}")
    return ("{" + ",".join(members) + "}" + draw(GAPS)).encode()


@settings(max_examples=250, deadline=None)
@given(st.lists(written(), min_size=1, max_size=4))
def test_a_proven_block_is_what_strict_json_gives_line_by_line(parts: list[bytes]) -> None:
    found = flat_objects(b"\n".join(parts))
    if found is not None:
        careful = [parse_line(part, 32) for part in parts]
        assert not any(line.fault for line in careful)
        assert [[one] for one in found[1]] == [line.objects for line in careful]
        assert [text.encode() for text in found[0]] == parts


@settings(max_examples=250, deadline=None)
@given(
    st.lists(written() | st.sampled_from([GOOD, *REPEATED, *CLEAN, *OTHER]) | st.binary(max_size=8), max_size=12),
    st.integers(1, 300),
    st.sampled_from([b"\n", b"\r\n"]),
    st.sampled_from([1 << 20, 200, 60]),
)
def test_rows_are_the_same_whether_blocks_or_lines_are_read(
    parts: list[bytes], size: int, end: bytes, limit: int
) -> None:
    fast, slow = both(GOOD + b"\n" + end.join(parts), size, line_bytes=limit)
    assert msgspec.json.encode(fast) == msgspec.json.encode(slow)


@settings(max_examples=300, deadline=None)
@given(
    # what is left of a line over the limit that holds NULs hangs on where the chunks end
    st.binary(max_size=300).map(lambda raw: raw.replace(b"x", b"\n").replace(b"\0", b"y")),
    st.integers(1, 40),
    st.integers(1, 30),
)
def test_blocks_hold_the_lines_of_the_chunks(raw: bytes, size: int, limit: int) -> None:
    chunks = [raw[at : at + size] for at in range(0, len(raw), size)]
    n, found = 0, []
    for block in blocks(chunks, limit):
        found += [line._replace(number=n + line.number) for line in lines([block], limit)]
        n += block.count(b"\n")
    assert found == list(lines(chunks, limit))


def test_a_log_whose_blocks_fail_is_soon_read_by_lines_alone() -> None:
    tried = 0
    flat = FlatBlocks()
    for _ in range(1000):
        tried += not flat._n_passed_over
        assert flat.read(b'{"EventID":{}}\n') is None
    assert tried < 25
    while flat._n_passed_over:
        flat.read(GOOD)
    assert flat.read(GOOD) is not None and flat.read(GOOD) is not None


def test_a_line_longer_than_the_limit_in_tiny_chunks_costs_no_square() -> None:
    raw = b'{"EventID":1,"x":"' + b"a" * 3_000_000 + b'"}\n' + GOOD
    fast, _ = both(raw, 100, line_bytes=1000)
    assert [row.parsed for row in fast] == [False, True]
    assert json.loads(fast[0].fields_json)["line"] == 1
