"""Cases that aim at time and memory: little on disk, much work for whoever reads it carelessly.

Each is one way in which a reader is quadratic, recursive or patient. What does not belong here: bombs that
are only large (`archive/frame_cases.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hostile_corpus.archive import frames, tars
from hostile_corpus.case import DURATION, END, SECOND, T0, Case, Content, Good, degraded, ok, pack, reject
from rlstir_core.contract.registry import default_registry

_HOST = "costs"
_MIB = 1024 * 1024
_ROW = b'{"t_wall_ns":%d,"t_mono_ns":1' % T0
_FLOW = _ROW + b',"bytes":7,"pkts":1'


def _long_lines(
    name: str, line: bytes, n: int = 60, verdict: str = "reject", reason: str = "json.too_many_faults"
) -> Case:
    """`n` lines of nearly a mebibyte each."""
    assert len(line) < _MIB
    return Case(name, verdict, reason, lambda g: g.packed(guest=(line + b"\n") * n), host=_HOST, heavy=True)


def _fill(start: bytes, unit: bytes, end: bytes = b"") -> bytes:
    """`unit` as often as it fits into a line."""
    return start + unit * ((_MIB - 1 - len(start) - len(end)) // len(unit)) + end


def _distinct_keys() -> bytes:
    return _ROW + b"".join(b',"%d":1' % i for i in range(93_000)) + b"}"


def _colliding_keys() -> bytes:
    return _ROW + b"".join(b',"k%s":1' % (b"0" * (i % 7) + b"%x" % (i * 65_536)) for i in range(60_000)) + b"}"


def _unknown_key_rows(n: int) -> bytes:
    fields = b"".join(b',"%s":1' % name.encode() for name in default_registry().sources["proc"].fields)
    return (_ROW + b',"new":1' + fields + b"}\n") * n


def _one_bad_row_in_every_piece(good: Good) -> bytes:
    return good.packed(netflow=((_FLOW + b"}\n") * 150 + b"bad\n") * 660)


def _small_pieces(step: int) -> Callable[[Good], Content]:
    """Rows in blocks so small that every chunk brings less than a row."""

    def make(good: Good) -> Iterator[bytes]:
        rows = (_FLOW + b"}\n") * (95_000 * step // (len(_FLOW) + 2))
        rows += (_FLOW + b"}\n").replace(b"%d" % T0, b"%d" % (T0 + SECOND))
        tar = good.body(netflow=None) + tars.member(b"netflow.jsonl", rows) + END
        yield frames.raw_frame(tar, step)

    return make


def _full_rows_backward(good: Good) -> bytes:
    """As many values as are allowed, every row out of order and every tenth outside."""
    names = default_registry().sources["proc"].fields
    row = (
        b'{"t_wall_ns":%d,"t_mono_ns":%d' + b"".join(b',"%s":1234567890123' % name.encode() for name in names) + b"}\n"
    )
    times = [DURATION - i * 1000 + (100 * DURATION if i % 10 == 0 else 0) for i in range(175_000)]
    return good.packed(proc=b"".join([row % (T0 + t, t) for t in times]))


def _many_pax_headers(good: Good) -> bytes:
    header = tars.pax((b"uname", b"u" * 8_000))
    one = [header + tars.member(b"m%d" % i) for i in range(1_900)]
    return pack(good.body() + b"".join(one) + END)


CASES = (
    _long_lines("half-a-million-empty-objects-in-a-line", _fill(b"", b"{}"), 16),
    _long_lines("half-a-million-empty-lists-in-a-line", _fill(b"", b"[]"), 16),
    _long_lines("a-third-of-a-million-objects-in-a-list", _fill(b'{"a":[', b"{},", b"{}]}")),
    _long_lines(
        "a-third-of-a-million-lists-in-a-list", _fill(b'{"a":[', b"[],", b"[]]}"), 2, "degraded", "json.bad_rows"
    ),
    _long_lines("half-a-million-integers-in-a-list", _fill(b'{"a":[', b"1,", b"1]}"), 2, "degraded", "json.bad_rows"),
    _long_lines(
        "a-quarter-million-floats-in-a-list", _fill(b'{"a":[', b"1e9,", b"1]}"), 5, "degraded", "json.bad_rows"
    ),
    _long_lines("half-a-million-integers-and-an-accent", _fill('{"é":['.encode(), b"1,", b"1]}")),
    _long_lines("nine-open-objects-around-an-endless-text", _fill(b'{"a":' * 9 + b'"', b"x")),
    _long_lines("an-endless-text-of-escapes", _fill(b'{"a":' * 9 + b'"', b"\\n")),
    _long_lines("an-endless-text-of-broken-utf-8", _fill(b'{"a":' * 9 + b'"', b"\xff")),
    _long_lines("nine-lists-that-stay-open", _fill(b'{"a":[' * 9, b"1,")),
    _long_lines(
        "integers-just-under-a-thousand-digits",
        _fill(b'{"a":[', b"9" * 999 + b",", b"1]}"),
        12,
        "degraded",
        "json.bad_rows",
    ),
    _long_lines("integers-of-a-million-digits", _fill(_ROW + b',"nproc":', b"3", b"}"), 60, "reject"),
    _long_lines("a-mebibyte-of-spaces-before-a-letter", _fill(b"", b" ", b"x"), 20, "degraded", "json.bad_rows"),
    _long_lines("a-mebibyte-of-spaces-after-a-row", _fill(_ROW + b"}", b" ", b"x"), 20, "degraded", "json.bad_rows"),
    _long_lines("93000-distinct-keys", _distinct_keys()),
    _long_lines("60000-keys-that-look-alike", _colliding_keys(), 4, "degraded", "time.still"),
    _long_lines("the-same-key-170000-times", _fill(_ROW, b',"a":1', b"}"), 5, "degraded", "json.bad_rows"),
    _long_lines("quotes-without-end", _fill(b"{", b'"'), 60, "degraded", "json.bad_rows"),
    _long_lines("backslashes-without-end", _fill(b'{"', b"\\")),
    _long_lines("colons-without-end", _fill(b'{"a"', b":"), 60, "degraded", "json.bad_rows"),
    _long_lines("numbers-without-end", _fill(b"", b"1 "), 60, "degraded", "json.bad_rows"),
    reject(
        _HOST,
        "a-hundred-thousand-rows-with-a-new-field",
        "json.too_many_faults",
        lambda g: g.packed(proc=_unknown_key_rows(99_999)),
        heavy=True,
    ),
    degraded(_HOST, "one-bad-row-in-every-piece", "json.bad_rows", _one_bad_row_in_every_piece, heavy=True),
    ok(_HOST, "control-rows-in-blocks-of-40-bytes", _small_pieces(40), heavy=True),
    degraded(_HOST, "175000-full-rows-backward-and-outside", "time.outside", _full_rows_backward, heavy=True),
    degraded(_HOST, "1900-pax-headers-of-8-kib", "archive.unknown_member", _many_pax_headers, heavy=True),
)
