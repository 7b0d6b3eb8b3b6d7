"""Rows: the fast paths and the careful one agree, and a bad line loses only itself."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.contract.reasons import EpisodeRejected
from rlstir_core.contract.registry import Field, Source
from rlstir_core.episodes.limits import Limits
from rlstir_core.episodes.reading.jsonl import Budget, LineSplitter, RowReader
from rlstir_core.episodes.reading.rowspec import row_spec
from rlstir_core.episodes.reading.strict import parse_line

SOURCE = Source(
    vantage="host",
    rate_hz=10,
    fields={
        "a": Field(kind="counter"),
        "b": Field(kind="counter", required=True),
        "x": Field(kind="gauge", type="float"),
    },
    ignored=("src",),
)
INTS = Source(vantage="host", rate_hz=10, fields={"a": Field(kind="counter"), "b": Field(kind="counter")})


def _reader(data: bytes, source: Source = SOURCE, cut: int = 1 << 20, **limits: int) -> RowReader:
    bounds = Limits(**limits)
    reader = RowReader("proc", row_spec("proc", source, 256), bounds, Budget.of(bounds))
    for at in range(0, len(data), cut):
        reader.feed(data[at : at + cut])
    reader.finish()
    return reader


def _slowly(data: bytes, source: Source) -> tuple[list[tuple[int, ...]], list[tuple[float, ...]]]:
    """What the careful parser alone makes of it."""
    spec = row_spec("proc", source, 256)
    ints, floats = [], []
    for raw in data.split(b"\n"):
        for record in parse_line(raw, 32).objects:
            row = spec.careful(record)
            if not isinstance(row, str):
                ints.append(tuple(row[0]))
                floats.append(tuple(row[1]))
    return ints, floats


def _same(reader: RowReader, data: bytes, source: Source) -> None:
    ints, floats = reader.table()
    slow_ints, slow_floats = _slowly(data, source)
    assert [tuple(row) for row in ints.tolist()] == slow_ints
    np.testing.assert_array_equal(floats, np.array(slow_floats).reshape(floats.shape))


def _line(**values: object) -> bytes:
    return json.dumps({"t_wall_ns": 10, "t_mono_ns": 1, "b": 3} | values).encode() + b"\n"


def test_a_torn_line_keeps_both_records():
    reader = _reader(_line(a=1) + _line(a=2)[:-1] + _line(a=3) + _line(a=4))
    assert reader.table()[0][:, 2].tolist() == [1, 2, 3, 4]
    assert (reader.n_bad, reader.n_torn) == (0, 1)


def test_half_a_record_before_a_whole_one_loses_only_the_half():
    reader = _reader(_line(a=1) + _line(a=2)[:25] + _line(a=3))
    assert reader.table()[0][:, 2].tolist() == [1, 3]
    assert reader.n_bad == 1
    assert reader.faults[0].startswith("line 2:")


@pytest.mark.parametrize(
    "bad",
    [
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":NaN}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"x":Infinity}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"x":1e999}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"b":3}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"x":1,"x":2}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":9223372036854775808}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"x":9223372036854775808}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":"3"}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":true}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"x":true}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"x":"1"}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":-3}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3.0}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":03}',
        b'{"t_wall_ns":1,"t_mono_ns":1}',
        b'{"t_wall_ns":null,"t_mono_ns":1,"b":3}',
        b'{"t_mono_ns":1,"b":3}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"src":"\xff"}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"src":"\\ud800"}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"src":"' + b"s" * 300 + b'"}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"src":{}}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"new":' + b"[" * 2000 + b"]" * 2000 + b"}",
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"new":[NaN]}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":3,"new":{"k":1,"k":2}}',
        b'{"t_wall_ns":1,"t_mono_ns":1,"b":' + b"9" * 5000 + b"}",
        b'[{"t_wall_ns":1,"t_mono_ns":1,"b":3}]',
        b"null",
        b"3",
        b"\xef\xbb\xbf",
        b"\x00",
    ],
)
def test_a_bad_line_loses_only_itself(bad):
    data = _line(a=1) * 40 + bad + b"\n" + _line(a=2) * 40
    reader = _reader(data)
    assert (reader.n_rows, reader.n_bad) == (80, 1)
    _same(reader, data, SOURCE)


@pytest.mark.parametrize(
    "line",
    [
        _line(a=None, x=None),
        _line(new="field", other=[1, {"k": 2}]),
        _line(src=17),
        _line(src="::1"),
        _line(src='quote " and \\ slash'),
        _line(src="größe"),
        _line(x=1e300),
        _line(x=-0.5),
        _line(x=12),
        _line()[:-1] + b"\r\n",
        b"\n" + _line(),
        b" " + _line(),
    ],
)
def test_unusual_but_valid_rows_are_kept(line):
    data = _line(a=5, x=0.5) * 3 + line + _line(src="a")
    reader = _reader(data)
    assert (reader.n_rows, reader.n_bad) == (5, 0)
    _same(reader, data, SOURCE)


@pytest.mark.parametrize(
    "line",
    [
        b'{"t_wall_ns":1,"t_mono_ns":2,"a1":,"b":3}',
        b'{"t_wall_ns":1,"t_mono_ns":2,"a":1,"b":}',
        b'{"t_wall_ns":1,"t_mono_ns":2,"1a":,"b":3}',
        b'{"t_wall_ns":1,"t_mono_ns":2,"a":01,"b":3}',
        b'{"t_wall_ns":1,"t_mono_ns":2,"a":9223372036854775808,"b":3}',
        b'{"t_wall_ns":1,"t_mono_ns":2,"a":99999999999999999999,"b":3}',
        b'{"t_wall_ns":1,"t_mono_ns":2,"a":3,"b":3}7',
        b'7{"t_wall_ns":1,"t_mono_ns":2,"a":3,"b":3}',
    ],
)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_lines_that_differ_only_in_where_digits_stand_are_not_taken_for_regular(line, position):
    good = b'{"t_wall_ns":1,"t_mono_ns":2,"a":1,"b":3}'
    lines = [good, good]
    lines.insert(position, line)
    data = b"\n".join(lines) + b"\n"
    _same(_reader(data, INTS), data, INTS)


def test_the_largest_int64_and_zero_come_out_exactly():
    data = b"".join(
        b'{"t_wall_ns":%d,"t_mono_ns":%d,"a":%d,"b":%d}\n' % (2**63 - 1, 0, 10**k, 2**62 + k) for k in range(19)
    )
    reader = _reader(data, INTS)
    assert reader.spec.regular(data) is not None
    _same(reader, data, INTS)


def test_regular_rows_may_be_spaced_and_leave_fields_out():
    data = b'{"t_mono_ns": 5, "t_wall_ns": 17, "b": 0}\n' * 7
    assert _reader(data, INTS).table()[0].tolist() == [[17, 5, -1, 0]] * 7


_VALUES = st.one_of(
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=5),
    st.none(),
    st.booleans(),
    st.lists(st.integers(), max_size=2),
)
_KEYS = st.sampled_from(["t_wall_ns", "t_mono_ns", "a", "b", "x", "src", "other", "a1"])
_PAIRS = st.lists(st.tuples(_KEYS, _VALUES), max_size=7)


@given(
    st.lists(st.tuples(_PAIRS, st.sampled_from([b"\n", b"", b"\n\n", b"\r\n", b" "])), max_size=6), st.integers(1, 60)
)
def test_fast_and_careful_agree_on_any_records(records, cut):
    data = b""
    for pairs, end in records:
        body = ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs)
        data += b"{" + body.encode() + b"}" + end
    reader = _reader(data, cut=cut)
    _same(reader, data, SOURCE)


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1)), min_size=1, max_size=8), st.data())
def test_a_damaged_byte_never_makes_fast_and_careful_disagree(values, data):
    raw = bytearray(b"".join(b'{"t_wall_ns":%d,"t_mono_ns":5,"a":%d,"b":0}\n' % pair for pair in values))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.sampled_from(list(b'0123456789{}":,\n ab-.e\\\xff')))
    _same(_reader(bytes(raw), INTS), bytes(raw), INTS)


@given(st.lists(st.binary(max_size=20), max_size=8), st.integers(1, 30))
def test_lines_survive_any_cut(lines, cut):
    clean = [line.replace(b"\n", b"") for line in lines]
    data = b"\n".join(clean)
    splitter = LineSplitter(1000)
    out = b"".join(splitter.feed(data[at : at + cut]) for at in range(0, len(data), cut)) + splitter.finish()
    assert out == data


def test_a_line_over_the_limit_is_dropped_while_it_streams():
    data = _line(a=1) + b'{"t_wall_ns":' + b"1" * 5000 + b"}\n" + _line(a=2)
    for cut in (7, 100, 4096, 1 << 20):
        reader = _reader(data, cut=cut, line_bytes=1000)
        assert reader.table()[0][:, 2].tolist() == [1, 2], cut
        assert reader.n_bad == 1


def test_budgets_end_in_a_reason():
    with pytest.raises(EpisodeRejected, match=r"channel\.too_many_rows"):
        _reader(_line() * 30, rows=20)
    with pytest.raises(EpisodeRejected, match=r"channel\.too_many_rows"):
        _reader(_line() * 30, cells=50)
    with pytest.raises(EpisodeRejected, match=r"json\.too_many_faults"):
        _reader(b"x\n" * 30, slow_lines=20)
    with pytest.raises(EpisodeRejected, match=r"archive\.too_large"):
        _reader(_line() * 30, telemetry_bytes=100)


def test_json_of_every_msgspec_value_is_strict_json():
    assert parse_line(msgspec.json.encode({"k": [1, 2.5, None, "ü", {"n": True}]}), 8).n_damaged == 0
