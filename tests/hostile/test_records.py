"""Every well-formed record comes out exactly once and in order, whatever bytes lie between and around.

The readers of the index and of rows; `tests/episodes` has their plainer cases.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.contract.registry import Field, Source
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.jsonl import Budget, LineSplitter, RowReader
from rlstir_core.episodes.reading.rowspec import row_spec
from rlstir_core.episodes.reading.strict import parse_line
from rlstir_core.episodes.store.index import parse_index

SOURCE = Source(
    vantage="host",
    rate_hz=10,
    fields={"a": Field(kind="counter"), "x": Field(kind="gauge", type="float")},
    ignored=("src",),
)

# A whole line of anything that holds no record: no line break, and nothing that could be part of an object.
GARBAGE_LINES = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.translate(None, b"\n{}")),
    st.sampled_from(
        [
            b"",
            b" \t\r",
            b"null",
            b"[]",
            b"[1, [2]]",
            b'"text"',
            b"NaN",
            b"\0" * 50,
            b"\xef\xbb\xbf",
            b"}",
            b"}}}",
            b"{",
            b"{{{",
            b'{"t_wall_ns":',
            b'{"t_wall_ns":1,"t_mono_ns":NaN}',
            b'{"episode_id":"e","episode_id":"e"}',
            b'{"a":"open',
            b"[" * 3000,
            b'{"a":' * 3000,
            b"9" * 5000,
            b'\xff{"a":"\xff"}',
        ]
    ),
)
# Half of a record that a whole one follows in the same line; closing braces could make one of the two.
HALVES = st.sampled_from(
    [b"", b"{", b'{"a', b'{"a":', b'{"a":1', b'{"a":1,', b'{"t_wall_ns":12', b"\xff", b"]", b"\0\0"]
)


def _line(number: int) -> bytes:
    return b'{"t_wall_ns":%d,"t_mono_ns":%d,"a":%d}' % (number, number, number * 7)


def _read(data: bytes, cuts: list[int], **limits: int) -> RowReader:
    bounds = Limits(**limits)
    reader = RowReader("proc", row_spec("proc", SOURCE, 256), bounds, Budget.of(bounds))
    start = 0
    for cut in [*sorted(cuts), len(data)]:
        if cut > start:
            reader.feed(data[start:cut])
            start = cut
    reader.finish()
    return reader


def _result(reader: RowReader) -> tuple[object, ...]:
    ints, floats = reader.table()
    return ints.tolist(), np.nan_to_num(floats, nan=-1.5).tolist(), reader.n_bad, reader.n_torn


def _interleaved(garbage: list[list[bytes]]) -> bytes:
    """Row n, then the lines of garbage[n], and so on."""
    lines: list[bytes] = []
    for number, junk in enumerate(garbage):
        lines += [_line(number), *junk]
    return b"\n".join(lines) + b"\n"


def _index_line(number: int) -> bytes:
    name = f"ep-{number}"
    record = {
        "episode_id": name,
        "host_id": "h",
        "path": f"episodes/h/{name}.tar.zst",
        "bytes": number,
        "sha256": f"{number:064x}",
    }
    return json.dumps(record).encode()


@given(st.lists(st.lists(GARBAGE_LINES, max_size=3), max_size=8), st.lists(st.integers(0, 3000), max_size=6))
@settings(max_examples=150, deadline=None)
def test_rows_come_out_once_and_in_order_whatever_lines_lie_between(garbage, cuts):
    reader = _read(_interleaved(garbage), cuts)
    assert reader.table()[0][:, 0].tolist() == list(range(len(garbage)))
    assert reader.n_torn == 0
    if not any(line.strip() for junk in garbage for line in junk):
        assert reader.n_bad == 0


@given(st.lists(st.tuples(HALVES, st.sampled_from([b"", b"\n", b"\r\n", b" ", b"\n\n"])), min_size=1, max_size=7))
@settings(max_examples=150, deadline=None)
def test_torn_rows_come_out_once_and_in_order(plan):
    data = b"".join(half + _line(number) + end for number, (half, end) in enumerate(plan))
    reader = _read(data, [])
    assert reader.table()[0][:, 0].tolist() == list(range(len(plan)))
    assert (reader.n_bad > 0) == any(half for half, _ in plan)


@pytest.mark.parametrize("first", range(1, len(_line(1))))
def test_a_row_torn_anywhere_loses_only_itself(first):
    torn = _read(_line(0) + b"\n" + _line(1)[:first] + _line(2) + b"\n" + _line(3), [])
    assert torn.table()[0][:, 0].tolist() == [0, 2, 3]
    assert torn.n_bad == 1
    halved = _read(_line(0) + b"\n" + _line(1)[:first] + b"\n" + _line(1)[first:] + b"\n" + _line(3), [])
    assert halved.table()[0][:, 0].tolist() == [0, 3]
    assert halved.n_bad == 2


@given(st.lists(st.lists(GARBAGE_LINES, max_size=2), min_size=1, max_size=6), st.data())
@settings(max_examples=100, deadline=None)
def test_the_result_does_not_depend_on_the_chunks(garbage, data):
    raw = _interleaved(garbage)
    if data.draw(st.booleans()):
        raw = raw[:-1]
    cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=12))
    line_bytes = data.draw(st.sampled_from([30, 48, 60, 2000, 2**20]))
    assert _result(_read(raw, cuts, line_bytes=line_bytes)) == _result(_read(raw, [], line_bytes=line_bytes))


def test_the_result_is_the_same_for_every_single_cut():
    raw = _line(0) + b"\n" + b"x" * 60 + b"\n" + _line(1) + _line(2) + b"\r\n\n" + _line(3)[:20] + _line(4) + b"\n\xff"
    whole = _result(_read(raw, []))
    assert [row[0] for row in whole[0]] == [0, 1, 2, 4]
    for cut in range(len(raw)):
        assert _result(_read(raw, [cut])) == whole
    assert _result(_read(raw, list(range(len(raw))))) == whole


@pytest.mark.parametrize("length", range(95, 106))
@pytest.mark.parametrize("cut", [0, 1, 50, 99, 100, 101, 150])
def test_a_line_is_too_long_by_its_bytes_wherever_the_chunks_end(length, cut):
    data = b"a" * 5 + b"\n" + b"b" * (length - 1) + b"\n" + b"c" * 5 + b"\n"
    splitter = LineSplitter(100)
    out = splitter.feed(data[:cut]) + splitter.feed(data[cut:]) + splitter.finish()
    assert (b"b" in out, splitter.n_too_long) == ((True, 0) if length <= 100 else (False, 1))
    assert out.startswith(b"aaaaa\n")
    assert out.endswith(b"ccccc\n")


_SPELLINGS = st.one_of(
    st.from_regex(r"\A-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?\Z"),
    st.from_regex(r"\A[-+0-9.eE_xN]{1,8}\Z"),
    st.floats().map(repr),
    st.integers(-(2**65), 2**65).map(str),
    st.text(max_size=4).map(json.dumps),
)


@given(_SPELLINGS, st.sampled_from(["a", "x", "src", "new", "t_wall_ns"]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_every_way_to_decode_a_row_reads_a_value_alike(spelling, key, alone):
    """Beside damaged lines the careful parser reads what a fast one reads among clean lines."""
    row = {"t_wall_ns": "1", "t_mono_ns": "2"} | {key: spelling}
    line = ("{" + ",".join(f'"{k}":{v}' for k, v in row.items()) + "}\n").encode("utf-8", "surrogatepass")
    fast = _read(line if alone else line + _line(9) + b"\n", [])
    careful = _read(b"damaged\n" + line, [])
    n = len(fast.table()[0]) - (not alone)
    assert fast.table()[0][:n].tolist() == careful.table()[0].tolist()
    np.testing.assert_array_equal(fast.table()[1][:n], careful.table()[1])
    assert fast.n_bad == careful.n_bad - 1


@given(st.lists(st.lists(GARBAGE_LINES, max_size=3), max_size=8))
@settings(max_examples=150, deadline=None)
def test_index_records_come_out_once_and_in_order_whatever_lines_lie_between(garbage):
    lines: list[bytes] = []
    for number, junk in enumerate(garbage):
        lines += [_index_line(number), *junk]
    found = parse_index(b"\n".join(lines))
    assert [entry.n_bytes for entry in found.entries] == list(range(len(garbage)))
    faulty = {fault.line for fault in found.faults}
    assert faulty <= {number for number, line in enumerate(lines, 1) if line.strip()}
    assert not faulty & {entry.line for entry in found.entries}


@given(st.lists(st.tuples(HALVES, st.sampled_from([b"", b"\n", b" ", b"\r\n"])), min_size=1, max_size=7))
@settings(max_examples=150, deadline=None)
def test_torn_index_records_come_out_once_and_in_order(plan):
    raw = b"".join(half + _index_line(number) + end for number, (half, end) in enumerate(plan))
    found = parse_index(raw)
    assert [entry.n_bytes for entry in found.entries] == list(range(len(plan)))
    assert not any(fault.reason == "index.repeated" for fault in found.faults)


@pytest.mark.parametrize("first", range(1, len(_index_line(1))))
def test_an_index_record_torn_anywhere_loses_only_itself_and_has_its_line(first):
    found = parse_index(
        _index_line(0) + b"\n" + _index_line(1)[:first] + _index_line(2) + b"\n" + _index_line(3)[:first]
    )
    assert [entry.n_bytes for entry in found.entries] == [0, 2]
    assert [(fault.line, fault.reason) for fault in found.faults] == [(2, "index.unreadable"), (3, "index.unreadable")]


@given(st.binary(max_size=60), st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_a_record_on_a_line_of_its_own_survives_any_bytes_around_it(before, after):
    raw = before + b"\n" + _index_line(5) + b"\n" + after
    assert [entry.n_bytes for entry in parse_index(raw).entries] == [5]
    rows = _read(before + b"\n" + _line(5) + b"\n" + after, []).table()[0]
    assert rows[:, 0].tolist() == [5]


@given(st.binary(max_size=300), st.integers(0, 5), st.integers(0, 2000))
@settings(max_examples=200, deadline=None)
def test_a_bound_on_a_line_never_invents_records(raw, most, most_work):
    whole, bounded = parse_line(raw, 8), parse_line(raw, 8, most, most_work)
    assert bounded.objects == whole.objects[: len(bounded.objects)]
    assert len(bounded.objects) + bounded.n_damaged <= most + 1
