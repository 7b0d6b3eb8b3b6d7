"""Cases about `labels.jsonl`.

What does not belong here: rows of telemetry (`json_values.py`, `channels.py`).
"""

from __future__ import annotations

from hostile_corpus.case import DURATION, T0, Case, Good, degraded, ok, reject

_HOST = "labels"
_FIRST = b'{"t_wall_ns":%d,"phase":"clean"}\n' % T0


def _pairs(name: str, reason: str, *pairs: tuple[float, str]) -> Case:
    return reject(_HOST, name, f"label.{reason}", lambda g: g.packed(labels=g.labels(*pairs)))


def _raw(name: str, reason: str, raw: bytes) -> Case:
    return reject(_HOST, name, f"label.{reason}", lambda g: g.packed(labels=raw))


def _time(name: str, raw: bytes, reason: str = "form") -> Case:
    return _raw(f"a-label-whose-time-is-{name}", reason, _FIRST + b'{"t_wall_ns":%s,"phase":"armed"}\n' % raw)


def _phase(name: str, raw: bytes, reason: str = "form") -> Case:
    return _raw(f"a-label-whose-phase-is-{name}", reason, _FIRST + b'{"t_wall_ns":%d,"phase":%s}\n' % (T0 + 1, raw))


def _many(n: int) -> bytes:
    phases = (b"clean", b"armed")
    return b"".join(b'{"t_wall_ns":%d,"phase":"%s"}\n' % (T0 + i, phases[i % 2]) for i in range(n))


def _logs_alone(good: Good) -> bytes:
    return good.packed(labels=None, proc=None, perf=None, qmp=None, netflow=None, guest=None)


def _ok(name: str, raw: bytes) -> Case:
    return ok(_HOST, f"control-{name}", lambda g: g.packed(labels=raw))


CASES = (
    _ok("line-ends-of-windows-and-empty-lines", b"\r\n\n" + _FIRST.replace(b"\n", b"\r\n") + b" \n"),
    _ok("extra-keys-in-a-label", b'{"note":"<b>","phase":"clean","t_wall_ns":%d}' % T0),
    _ok("a-label-at-the-very-end", _FIRST + b'{"t_wall_ns":%d,"phase":"armed"}' % (T0 + DURATION)),
    _ok("two-labels-in-one-line", _FIRST[:-1] + b'{"t_wall_ns":%d,"phase":"armed"}' % (T0 + 1)),
    _ok("ten-thousand-labels", _many(10_000)),
    _pairs("a-label-before-the-start", "outside", (-1, "clean")),
    _pairs("a-label-after-the-end", "outside", (0, "clean"), (13, "armed")),
    _pairs("labels-out-of-order", "order", (2, "clean"), (1, "armed")),
    _pairs("labels-of-one-time", "order", (1, "clean"), (1, "armed")),
    _pairs("the-same-label-again", "order", (1, "clean"), (1, "clean")),
    _time("seconds", b"1750000001", "outside"),
    _time("far-away", b"9223372036854775807", "outside"),
    _time("negative", b"-1", "outside"),
    _time("a-float", b"1.75e18"),
    _time("text", b'"%d"' % (T0 + 1)),
    _time("null", b"null"),
    _time("true", b"true"),
    _time("a-list", b"[]"),
    _time("nan", b"NaN", "json"),
    _time("beyond-int64", b"9223372036854775808", "json"),
    _time("a-million-digits", b"9" * 1_000_000, "json"),
    _phase("unknown", b'"exploding"', "unknown_phase"),
    _phase("of-another-case", b'"Clean"', "unknown_phase"),
    _phase("followed-by-a-space", b'"clean "', "unknown_phase"),
    _phase("empty", b'""', "unknown_phase"),
    _phase("html", b'"<script>"', "unknown_phase"),
    _phase("huge", b'"' + b"p" * 900_000 + b'"', "unknown_phase"),
    _phase("a-look-alike", '"сlean"'.encode(), "unknown_phase"),
    _phase("a-number", b"1"),
    _phase("null", b"null"),
    _phase("a-lone-surrogate", b'"\\udfff"', "json"),
    _raw("a-label-without-a-time", "form", b'{"phase":"clean"}\n'),
    _raw("a-label-without-a-phase", "form", b'{"t_wall_ns":%d}\n' % T0),
    _raw("a-label-that-is-empty", "form", b"{}\n"),
    _raw("a-label-that-is-a-list", "json", b'[%d,"clean"]\n' % T0),
    _raw("half-a-label-at-the-end", "json", _FIRST + _FIRST[:20]),
    _raw("half-a-label-before-a-whole-one", "json", _FIRST[:20] + _FIRST),
    _raw("labels-behind-a-byte-order-mark", "json", b"\xef\xbb\xbf" + _FIRST),
    _raw("labels-in-utf-16", "json", _FIRST.decode().encode("utf-16")),
    _raw("labels-with-a-duplicate-key", "json", b'{"phase":"armed",' + _FIRST[1:]),
    _raw("labels-of-zeros", "json", bytes(4096)),
    _raw("labels-nested-200000-deep", "json", b'{"t_wall_ns":' + b"[" * 200_000 + b"]" * 200_000 + b"}\n"),
    _raw("a-label-line-over-a-mebibyte", "json", _FIRST[:-2] + b',"x":"' + b"x" * 1_100_000 + b'"}\n'),
    _raw("labels-over-their-size", "too_large", b"\n" * 3_000_000),
    _raw("more-than-10000-labels", "too_many", _many(10_001)),
    _raw("half-a-million-empty-labels-in-one-line", "", b"{}" * 500_000),
    _raw("a-million-empty-labels", "too_many", b"{}\n" * 600_000),
    reject(_HOST, "no-labels-beside-telemetry", "label.missing", lambda g: g.packed(labels=None)),
    reject(_HOST, "empty-labels-beside-telemetry", "label.missing", lambda g: g.packed(labels=b"")),
    reject(_HOST, "blank-labels-beside-telemetry", "label.missing", lambda g: g.packed(labels=b"\n \n")),
    degraded(_HOST, "no-labels-and-no-telemetry", "label.missing", _logs_alone),
)
