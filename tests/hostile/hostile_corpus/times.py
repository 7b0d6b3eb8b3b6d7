"""Cases about time: of the episode, of rows, and of the clocks.

What does not belong here: labels (`labels.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hostile_corpus.case import DURATION, SECOND, T0, Case, Good, degraded, ok, reject

_HOST = "times"
_HOUR = 3600 * SECOND
_MAX = 2**63 - 1
Change = Callable[[int], Mapping[str, Any]]


def _span(name: str, reason: str, start: int, end: int) -> Case:
    return reject(
        _HOST, name, f"time.{reason}", lambda g: g.packed(meta=g.meta(t_start_wall_ns=start, t_end_wall_ns=end))
    )


def _rows(name: str, reason: str, change: Change, source: str = "guest", n: int = 12) -> Case:
    return degraded(_HOST, name, reason, lambda g: g.packed(**{source: g.rows(source, n, change)}))


def _ok(name: str, change: Change, source: str = "guest", n: int = 12) -> Case:
    return ok(_HOST, f"control-{name}", lambda g: g.packed(**{source: g.rows(source, n, change)}))


def _clocks(wall: int, mono: int) -> dict[str, int]:
    return {"t_wall_ns": T0 + wall * SECOND, "t_mono_ns": mono * SECOND}


def _fast(i: int) -> dict[str, int]:
    return {"t_wall_ns": T0 + i * SECOND // 5, "t_mono_ns": i * SECOND // 5}


def _at(row: int, **values: Any) -> Change:
    return lambda i: values if i == row else {}


def _a_day(good: Good) -> bytes:
    return good.packed(meta=good.meta(t_end_wall_ns=T0 + 24 * _HOUR))


CASES = (
    degraded(_HOST, "an-episode-of-24-hours-and-rows-of-12-seconds", "channel.coverage", _a_day),
    _ok("a-monotonic-clock-that-is-uptime", lambda i: {"t_mono_ns": 10**16 + i * SECOND}, "netflow"),
    _ok("rows-out-of-order", lambda i: _clocks((i * 7) % 12, (i * 7) % 12)),
    _ok("rows-backward", lambda i: _clocks(11 - i, 11 - i)),
    _ok("rows-that-repeat", lambda i: _clocks(i // 2, i // 2)),
    _ok("some-rows-outside", lambda i: _clocks(i - 4, i)),
    _ok("rows-with-a-gap", lambda i: _clocks(i + 50 * (i > 5), i + 50 * (i > 5))),
    _ok("flows-whose-clock-steps", lambda i: _clocks(i, i * 3), "netflow"),
    _ok("a-clock-that-slews", lambda i: {"t_mono_ns": i * (SECOND + 20_000_000)}),
    _ok("flows-of-two-times", lambda i: _clocks(i % 2, i % 2), "netflow"),
    _span("an-episode-in-seconds", "unit", T0 // 10**9, (T0 + DURATION) // 10**9),
    _span("an-episode-in-milliseconds", "unit", T0 // 10**6, (T0 + DURATION) // 10**6),
    _span("an-episode-in-microseconds", "unit", T0 // 1000, (T0 + DURATION) // 1000),
    _span("an-episode-that-ends-in-seconds", "unit", T0, (T0 + DURATION) // 10**9),
    _span("an-episode-in-1970", "unit", 0, DURATION),
    _span("an-episode-before-1970", "unit", -T0, T0),
    _span("an-episode-at-the-end-of-int64", "unit", _MAX - 1, _MAX),
    _span("an-episode-at-the-start-of-int64", "unit", -_MAX - 1, T0),
    _span("an-episode-in-2101", "unit", T0, 4_134_000_000 * SECOND),
    _span("an-end-before-the-start", "order", T0, T0 - DURATION),
    _span("an-end-at-the-start", "order", T0, T0),
    _span("an-episode-of-25-hours", "span", T0, T0 + 25 * _HOUR),
    _span("an-episode-of-24-hours-and-a-nanosecond", "span", T0, T0 + 24 * _HOUR + 1),
    _span("an-episode-of-thirty-years", "span", T0, T0 + 30 * 365 * 24 * _HOUR),
    _rows("rows-of-one-time", "time.still", lambda _: _clocks(3, 3)),
    _rows("flows-of-one-time", "time.still", lambda _: _clocks(3, 3), "netflow"),
    _rows("a-wall-clock-that-stands", "time.still", lambda i: {"t_wall_ns": T0, "t_mono_ns": i * SECOND // 10}),
    _rows("times-that-move-every-sixth-row", "time.still", lambda i: _clocks(i // 6 * 6, i // 6 * 6)),
    _rows("a-clock-at-another-rate", "time.drift", lambda i: {"t_mono_ns": i * (SECOND + 400_000_000)}),
    _rows("a-monotonic-clock-that-stands-for-fast-rows", "time.drift", lambda i: _fast(i) | {"t_mono_ns": 5}, n=60),
    _rows("rows-half-a-minute-outside", "channel.coverage", lambda i: _clocks(i - 30, i)),
    _rows("a-row-two-hours-later", "time.outside", _at(3, t_wall_ns=T0 + 2 * _HOUR, t_mono_ns=2 * _HOUR)),
    _rows("a-row-in-1970", "time.outside", _at(0, t_wall_ns=0)),
    _rows("a-row-at-the-end-of-int64", "time.outside", _at(11, t_wall_ns=_MAX, t_mono_ns=0)),
    _rows(
        "clocks-at-both-ends-of-int64",
        "time.outside",
        lambda i: {"t_wall_ns": _MAX * (i % 2), "t_mono_ns": _MAX * (1 - i % 2)},
    ),
    _rows("rows-in-seconds", "time.outside", lambda i: {"t_wall_ns": T0 // 10**9 + i}),
    _rows("rows-in-milliseconds", "time.outside", lambda i: {"t_wall_ns": T0 // 10**6 + i}),
    _rows("flows-of-another-day", "time.outside", lambda i: {"t_wall_ns": T0 - 24 * _HOUR + i}, "netflow"),
    _rows("a-row-just-over-a-minute-outside", "time.outside", _at(11, t_wall_ns=T0 + DURATION + 60 * SECOND + 1)),
    _rows("a-wall-clock-that-steps-forward", "time.clock_step", lambda i: _clocks(i + 5 * (i > 5), i)),
    _rows("a-wall-clock-that-steps-back", "time.clock_step", lambda i: _clocks(i - 5 * (i > 5), i)),
    _rows("a-monotonic-clock-that-begins-anew", "time.clock_step", lambda i: {"t_mono_ns": (i % 6) * SECOND}),
    _rows("a-monotonic-clock-that-stands", "time.clock_step", lambda _: {"t_mono_ns": 7}),
    _rows("a-monotonic-clock-at-the-end-of-int64", "time.clock_step", _at(5, t_mono_ns=_MAX)),
    _rows("a-clock-that-swings", "time.clock_step", lambda i: _clocks(i + 2 * (i % 2), i)),
    _rows("a-clock-that-jumps-in-proc", "time.clock_step", lambda i: _clocks(i + (i > 5), i), "proc"),
    _rows("a-row-whose-time-is-negative", "json.bad_rows", _at(2, t_wall_ns=-1)),
    _rows("a-row-whose-monotonic-time-is-negative", "json.bad_rows", _at(2, t_mono_ns=-5)),
    _rows("a-row-whose-time-is-a-float", "json.bad_rows", _at(2, t_wall_ns=1.75e18)),
    _rows("a-row-whose-time-is-text", "json.bad_rows", _at(2, t_wall_ns=str(T0))),
    _rows("a-row-whose-time-is-null", "json.bad_rows", _at(2, t_wall_ns=None)),
    _rows("a-row-without-a-time", "json.bad_rows", _at(2, t_wall_ns=...)),
    _rows("a-row-without-a-monotonic-time", "json.bad_rows", _at(2, t_mono_ns=...)),
)
