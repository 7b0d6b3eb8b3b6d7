"""Cases about whole sources: absent, empty, too long, or not what the meta says of them.

What does not belong here: single lines (`json_values.py`) and clocks (`times.py`).
"""

from __future__ import annotations

from typing import Any

from hostile_corpus.case import T0, Case, Good, degraded, ok, reject

_HOST = "channels"
_FLOW = b'{"t_wall_ns":%d,"t_mono_ns":1,"bytes":7,"pkts":1}\n' % T0
_SHORT = b'{"t_wall_ns":%d,"t_mono_ns":1}\n' % T0


def _counted(name: str, **counts: Any) -> Case:
    return degraded(_HOST, name, "channel.row_count", lambda g: g.packed(meta=g.meta(sources=counts)))


def _without(*sources: str) -> Case:
    name = f"no-{'-and-no-'.join(sources)}"
    return degraded(_HOST, name, "channel.missing", lambda g: g.packed(**dict.fromkeys(sources)))


def _empty(source: str, raw: bytes = b"", how: str = "empty") -> Case:
    return degraded(_HOST, f"{source}-that-is-{how}", "channel.empty", lambda g: g.packed(**{source: raw}))


def _true_counts(good: Good) -> bytes:
    return good.packed(meta=good.meta(sources={"proc": 12, "guest": 12, "perf": None, "netflow": 12}))


def _resets(good: Good) -> bytes:
    rows = good.rows("proc", 12, lambda i: {"utime_ticks": (i * 100) % 300, "minflt": 50 - i})
    return good.packed(proc=rows)


def _few_fields(good: Good) -> bytes:
    return good.packed(proc=_SHORT * 12, guest=good.rows("guest", 12, lambda i: {"nproc": ..., "load": ...}))


def _all_bad(source: str) -> Case:
    return degraded(
        _HOST, f"{source}-whose-rows-are-all-bad", "json.bad_rows", lambda g: g.packed(**{source: b"bad\n" * 30})
    )


CASES = (
    ok(_HOST, "control-row-counts-that-are-true", _true_counts),
    ok(_HOST, "control-counters-that-reset", _resets),
    ok(_HOST, "control-rows-of-clocks-alone", _few_fields),
    ok(_HOST, "control-no-flows", lambda g: g.packed(netflow=b"")),
    ok(
        _HOST,
        "control-values-at-the-end-of-int64",
        lambda g: g.packed(qmp=g.rows("qmp", 12, lambda i: {"rd_bytes": 2**63 - 1 - i})),
    ),
    ok(_HOST, "control-a-quarter-million-flows", lambda g: g.packed(netflow=_FLOW * 250_000), heavy=True),
    _without("proc"),
    _without("netflow"),
    _without("qmp", "guest"),
    _without("proc", "perf", "qmp", "netflow", "guest"),
    _empty("proc"),
    _empty("perf", b"\n\n \n", "blank"),
    _empty("qmp", b"\n" * 100_000, "100000-newlines"),
    _empty("guest", b" " * 900_000, "a-line-of-spaces"),
    _all_bad("proc"),
    _all_bad("netflow"),
    _counted("fewer-rows-than-the-meta-says", guest=13),
    _counted("no-rows-says-the-meta", proc=0),
    _counted("2-to-the-63-rows-says-the-meta", netflow=2**63 - 1),
    reject(
        _HOST,
        "more-than-250000-flows",
        "channel.too_many_rows",
        lambda g: g.packed(netflow=_FLOW * 250_001),
        heavy=True,
    ),
    reject(_HOST, "more-than-250000-empty-lines", "channel.too_many_rows", lambda g: g.packed(guest=b"\n" * 250_001)),
    reject(
        _HOST,
        "more-than-2500000-values",
        "channel.too_many_rows",
        lambda g: g.packed(proc=_SHORT * 180_000),
        heavy=True,
    ),
    reject(
        _HOST,
        "more-than-2500000-values-in-all",
        "channel.too_many_rows",
        lambda g: g.packed(proc=_SHORT * 90_000, perf=_SHORT * 90_000, qmp=_SHORT * 90_000),
        heavy=True,
    ),
    reject(
        _HOST,
        "more-than-64-mib-of-telemetry",
        "archive.too_large",
        lambda g: g.packed(guest=(b" " * 1_000_000 + b"\n") * 70),
        heavy=True,
    ),
)
