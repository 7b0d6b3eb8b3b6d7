"""Cases about single lines of telemetry: every value on which JSON parsers disagree, and torn lines.

A bad line loses only itself: the episode is degraded, never rejected. What does not belong here: lines that
are expensive (`costs.py`).
"""

from __future__ import annotations

import json

from hostile_corpus.case import Case, Good, degraded, ok, reject

_HOST = "json-lines"


def _lines(name: str, *lines: bytes, source: str = "guest") -> Case:
    """Good rows, then `lines`, then good rows again."""
    return degraded(_HOST, name, "json.bad_rows", lambda g: g.packed(**{source: _around(g, source, *lines)}))


def _around(good: Good, source: str, *lines: bytes) -> bytes:
    rows = good.rows(source)
    return rows + b"".join(line + b"\n" for line in lines) + rows


def _value(name: str, raw: bytes, source: str = "guest", key: str = "load") -> Case:
    def make(good: Good) -> bytes:
        return good.packed(**{source: _around(good, source, good.line_with(source, key, raw))})

    return degraded(_HOST, f"a-value-that-is-{name}", "json.bad_rows", make)


def _fine(name: str, raw: bytes, source: str = "guest", key: str = "load") -> Case:
    def make(good: Good) -> bytes:
        return good.packed(**{source: _around(good, source, good.line_with(source, key, raw))})

    return ok(_HOST, f"control-a-value-that-is-{name}", make)


def _int(name: str, raw: bytes) -> Case:
    return _value(f"{name}-for-an-integer", raw, key="nproc")


def _text(name: str, raw: bytes) -> Case:
    return _value(f"{name}-for-an-address", raw, "netflow", "src")


def _fine_text(name: str, raw: bytes) -> Case:
    return _fine(f"{name}-for-an-address", raw, "netflow", "src")


def _torn(good: Good) -> bytes:
    rows = good.rows("guest")
    return good.packed(guest=rows.replace(b"\n", b"", 3) + rows[:-1])


def _windows(good: Good) -> bytes:
    return good.packed(guest=good.rows("guest").replace(b"\n", b"\r\n"), qmp=b"\n\n" + good.rows("qmp") + b" \n\t\n")


def _spaced(good: Good) -> bytes:
    rows = [json.dumps(good.row("guest", i), indent=None, separators=(" , ", " : ")) for i in range(12)]
    return good.packed(guest="\n".join(rows).encode())


def _half_in_the_middle(good: Good) -> bytes:
    rows = good.rows("guest")
    return good.packed(guest=rows + rows[:31] + rows)


def _two_halves(good: Good) -> bytes:
    row = json.dumps(good.row("guest", 4)).encode()
    return good.packed(
        guest=_around(good, "guest", row[:40] + row[40:].replace(b":", b"", 1), row[:40] + row[:40] + row)
    )


CASES = (
    ok(_HOST, "control-two-records-in-a-line", _torn),
    ok(_HOST, "control-line-ends-of-windows-and-empty-lines", _windows),
    ok(_HOST, "control-spaces-everywhere-and-no-last-newline", _spaced),
    _fine("minus-zero", b"-0"),
    _fine("minus-zero-point-zero", b"-0.0"),
    _fine("an-integer-for-a-float", b"3"),
    _fine("the-largest-double", b"1.7976931348623157e308"),
    _fine("so-small-that-it-is-zero", b"1e-99999999"),
    _fine("zero-with-a-huge-exponent", b"0e999999999999"),
    _fine("null-where-it-may-be", b"null"),
    _fine("the-largest-int64", b"9223372036854775807", key="nproc"),
    _fine("minus-zero-for-an-integer", b"-0", key="nproc"),
    _fine("of-a-new-field", b'{"any": [1, null, "\\u00e9"]}', key="new"),
    _fine("an-astral-letter-in-two-escapes", b'"\\ud83d\\ude00"', key="new"),
    _fine_text("html", b'"<img src=x onerror=alert(1)>"'),
    _fine_text("an-ansi-escape", b'"\\u001b[2J"'),
    _fine_text("an-escaped-nul", b'"\\u0000"'),
    _fine_text("braces-and-newlines", b'"}\\n{"'),
    _value("nan", b"NaN"),
    _value("infinity", b"Infinity"),
    _value("minus-infinity", b"-Infinity"),
    _value("nan-in-small-letters", b"nan"),
    _value("beyond-a-double", b"1e999"),
    _value("far-below-a-double", b"-1e999"),
    _value("2-to-the-63", b"9223372036854775808"),
    _value("2-to-the-64", b"18446744073709551616"),
    _value("below-int64", b"-9223372036854775809"),
    _value("5000-digits-long", b"9" * 5_000),
    _value("a-million-digits-long", b"9" * 1_000_000),
    _value("a-number-as-text", b'"1.5"'),
    _value("an-empty-text", b'""'),
    _value("true", b"true"),
    _value("a-list", b"[1.5]"),
    _value("an-object", b"{}"),
    _value("without-digits-before-the-point", b".5"),
    _value("without-digits-after-the-point", b"5."),
    _value("without-digits-in-the-exponent", b"5e"),
    _value("only-a-minus", b"-"),
    _value("of-two-minuses", b"--1"),
    _value("of-a-leading-zero", b"01.5"),
    _value("of-a-leading-plus", b"+1.5"),
    _value("hex", b"0x1F"),
    _value("octal", b"0o17"),
    _value("with-an-underscore", b"1_000"),
    _value("with-a-comma", b"1,5"),
    _value("of-arabic-digits", "٣".encode()),
    _value("with-a-comment", b"1 // one"),
    _value("with-a-block-comment", b"/**/1"),
    _value("in-single-quotes", b"'1'"),
    _value("missing", b""),
    _value("undefined", b"undefined"),
    _value("none", b"None"),
    _value("with-a-trailing-comma", b"1,"),
    _value("after-a-form-feed", b"\x0c1"),
    _value("after-a-nul", b"\x001"),
    _value("after-a-no-break-space", "\u00a01".encode()),
    _int("a-float", b"1.0"),
    _int("an-exponent", b"1e3"),
    _int("a-negative-number", b"-1"),
    _int("text", b'"7"'),
    _int("false", b"false"),
    _int("2-to-the-63", b"9223372036854775808"),
    _int("a-leading-zero", b"007"),
    _text("a-lone-surrogate", b'"\\ud800"'),
    _text("a-lone-low-surrogate", b'"x\\udc00y"'),
    _text("an-encoded-surrogate", b'"\xed\xa0\x80"'),
    _text("invalid-utf-8", b'"\xff\xfe"'),
    _text("overlong-utf-8", b'"\xc0\x80"'),
    _text("cut-utf-8", b'"\xf0\x9f\x98"'),
    _text("a-raw-tab", b'"a\tb"'),
    _text("a-raw-nul", b'"a\0b"'),
    _text("an-unknown-escape", b'"\\x41"'),
    _text("a-cut-escape", b'"\\u12"'),
    _text("an-open-text", b'"abc'),
    _text("a-text-of-257-letters", b'"' + b"s" * 257 + b'"'),
    _text("a-text-of-900000-letters", b'"' + b"s" * 900_000 + b'"'),
    _text("a-boolean", b"true"),
    _text("a-list", b'["10.0.0.1"]'),
    _value("null-where-it-must-not-be", b"null", "netflow", "bytes"),
    _value("nan-inside-an-ignored-list", b"[[NaN]]", key="new"),
    _value("a-duplicate-key-inside-an-ignored-object", b'{"k":1,"k":1}', key="new"),
    _value("an-ignored-list-100-deep", b"[" * 100 + b"]" * 100, key="new"),
    _value("an-ignored-list-200000-deep", b"[" * 200_000 + b"]" * 200_000, key="new"),
    _value("an-ignored-list-that-stays-open", b"[" * 500_000, key="new"),
    _value("a-second-time", b'0, "load": 1'),
    _value("a-second-time-behind-an-escape", b'0, "\\u006coad": 1'),
    _value("a-second-clock", b'1, "t_wall_ns": 5'),
    _value("a-time-machine", b'1, "t_wall_ns": 5, "t_wall_ns": 6', key="new"),
    _lines("a-line-that-is-null", b"null"),
    _lines("a-line-that-is-a-number", b"17"),
    _lines("a-line-that-is-text", b'"row"'),
    _lines("a-line-that-is-a-list", b"[{}]"),
    _lines("a-line-that-is-an-empty-object", b"{}"),
    _lines("a-line-that-is-a-brace", b"}"),
    _lines("a-line-of-a-thousand-braces", b"{" * 1000 + b"}" * 1000),
    _lines("a-line-of-a-million-open-braces", b"{" * 1_000_000),
    _lines("a-line-of-zeros", bytes(1000)),
    _lines("a-line-of-csv", b"1,2,3,4"),
    _lines("a-line-of-random-bytes", bytes(range(11, 256)) * 3),
    _lines("a-line-just-over-a-mebibyte", b'{"x":"' + b"x" * 1_048_576 + b'"}'),
    _lines("a-line-with-a-key-of-a-mebibyte", b'{"' + b"k" * 1_000_000 + b'":1}'),
    _lines("a-gap-of-zeros-after-a-crash", b"\0" * 4096 + b'{"t_wall'),
    degraded(
        _HOST,
        "half-a-record-at-the-end",
        "json.bad_rows",
        lambda g: g.packed(guest=g.rows("guest") + g.rows("guest")[:30]),
    ),
    degraded(_HOST, "half-a-record-before-a-whole-one", "json.bad_rows", _half_in_the_middle),
    degraded(_HOST, "halves-of-records-in-every-order", "json.bad_rows", _two_halves),
    degraded(
        _HOST,
        "a-byte-order-mark-before-the-rows",
        "json.bad_rows",
        lambda g: g.packed(guest=b"\xef\xbb\xbf" + g.rows("guest")),
    ),
    degraded(
        _HOST, "rows-in-utf-16", "json.bad_rows", lambda g: g.packed(guest=g.rows("guest").decode().encode("utf-16"))
    ),
    degraded(
        _HOST, "rows-with-single-quotes", "json.bad_rows", lambda g: g.packed(guest=g.rows("guest").replace(b'"', b"'"))
    ),
    degraded(
        _HOST,
        "rows-in-one-list",
        "json.bad_rows",
        lambda g: g.packed(guest=b"[" + g.rows("guest").replace(b"\n", b",\n") + b"]"),
    ),
    degraded(
        _HOST,
        "rows-ended-by-carriage-returns-and-cut",
        "json.bad_rows",
        lambda g: g.packed(guest=g.rows("guest").replace(b"\n", b"\r")[:-9]),
    ),
    ok(
        _HOST, "control-rows-ended-by-carriage-returns", lambda g: g.packed(guest=g.rows("guest").replace(b"\n", b"\r"))
    ),
    reject(
        _HOST,
        "a-hundred-thousand-lines-of-garbage",
        "json.too_many_faults",
        lambda g: g.packed(guest=b"garbage!\n" * 100_001),
        heavy=True,
    ),
)
