"""Cases about whole sources: absent, empty, too long, or not what the meta says of them.

What does not belong here: single lines (`json_values.py`) and clocks (`times.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostile_corpus.case import SECOND, T0, Case, Good, degraded, ok, reject
from rlstir_core.contract.registry import default_registry

_HOST = "channels"
_FLOW = b'{"t_wall_ns":%d,"t_mono_ns":1,"bytes":7,"pkts":1}\n' % T0
_LATER = b'{"t_wall_ns":%d,"t_mono_ns":2,"bytes":7,"pkts":1}\n' % (T0 + 1)
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
    return good.packed(proc=good.rows("proc", 12, lambda i: {"utime_ticks": ... if i % 3 else i, "threads": None}))


def _clocks_alone(good: Good) -> bytes:
    return good.packed(
        proc=good.rows("proc", 12, lambda _: dict.fromkeys(default_registry().sources["proc"].fields, ...))
    )


def _counter(name: str, value: Callable[[int], int], source: str = "qmp", field: str = "rd_bytes") -> Case:
    """A counter of 60 rows that is `value(i)` in row i."""

    def make(good: Good) -> bytes:
        at = {i: {"t_wall_ns": T0 + i * SECOND // 5, "t_mono_ns": i * SECOND // 5} for i in range(60)}
        return good.packed(**{source: good.rows(source, 60, lambda i: at[i] | {field: value(i)})})

    return degraded(_HOST, f"a-counter-that-{name}", "channel.counter", make)


def _thin(name: str, source: str, *rows: int) -> Case:
    """A source that keeps these of its twelve rows."""

    def make(good: Good) -> bytes:
        return good.packed(**{source: b"".join(good.rows(source).splitlines(keepends=True)[i] for i in rows)})

    return degraded(_HOST, f"{source}-{name}", "channel.coverage", make)


def _all_bad(source: str) -> Case:
    return degraded(
        _HOST, f"{source}-whose-rows-are-all-bad", "json.bad_rows", lambda g: g.packed(**{source: b"bad\n" * 30})
    )


CASES = (
    ok(_HOST, "control-row-counts-that-are-true", _true_counts),
    ok(_HOST, "control-counters-that-reset", _resets),
    degraded(_HOST, "rows-of-clocks-alone", "channel.field", _clocks_alone),
    degraded(_HOST, "a-field-that-is-always-null", "channel.field", _few_fields),
    degraded(
        _HOST,
        "flows-without-a-field",
        "json.bad_rows",
        lambda g: g.packed(netflow=g.rows("netflow", 12, lambda _: {"pkts": ...})),
    ),
    _thin("of-one-row", "guest", 4),
    _thin("of-the-first-and-the-last-row", "perf", 0, 11),
    _thin("that-ends-early", "qmp", 0, 1),
    _thin("that-begins-late", "guest", 10, 11),
    _counter("jumps-to-2-to-the-62-and-back", lambda i: 2**62 if 20 <= i < 23 else 10**6 + i),
    _counter("jumps-by-2-to-the-62-and-stays", lambda i: 10**6 + i + 2**62 * (i > 30)),
    _counter("reads-the-largest-int64-once", lambda i: 2**63 - 1 if i == 59 else 7 * i),
    _counter("begins-far-above-itself", lambda i: 2**61 if i == 0 else 10**9 + i),
    _counter("wraps-at-2-to-the-32-and-back", lambda i: (2**32 - 90 + 3 * i) % 2**32 + 2**32 * (i == 40)),
    _counter("reads-zero-once", lambda i: 0 if i == 33 else 50_000 + 2 * i, "guest", "files_opened"),
    _counter("is-two-counters-in-turns", lambda i: 10**6 * (i % 2) + i),
    ok(_HOST, "control-no-flows", lambda g: g.packed(netflow=b"")),
    ok(
        _HOST,
        "control-values-at-the-end-of-int64",
        lambda g: g.packed(qmp=g.rows("qmp", 12, lambda i: {"rd_bytes": 2**63 - 1 - i})),
    ),
    ok(_HOST, "control-a-quarter-million-flows", lambda g: g.packed(netflow=_FLOW * 249_999 + _LATER), heavy=True),
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
