"""A rate is read as people write it, and kept whatever the size of a piece."""

from __future__ import annotations

import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.sync.pace import Pace, read_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [("", 0), ("5MB", 5_000_000), ("500 kB/s", 500_000), ("2MiB", 2**21), ("1.5m", 1_500_000), ("2048", 2048)],
)
def test_a_rate_is_read(text: str, rate: int) -> None:
    assert read_rate(text) == rate


@pytest.mark.parametrize("text", ["0", "12", "-5MB", "fast", "5XB", "nan", "1e9", "5 5MB"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no rate"):
        read_rate(text)


class Clock:
    """A clock that only sleeping, and what a test adds, moves on."""

    def __init__(self) -> None:
        self.now, self.naps = 0.0, list[float]()

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.naps.append(seconds)


@pytest.mark.parametrize("piece", [100, 4_000, 1_000_000])
def test_a_rate_is_kept_and_every_wait_is_told(piece: int) -> None:
    clock, said = Clock(), list[float]()
    pace = Pace(50_000, lambda: clock.now, clock.sleep)
    for _ in range(1_000_000 // piece):
        since = pace.now()
        clock.now += piece / 1_000_000  # the link itself is twenty times as fast
        pace.spent(piece, since, lambda: said.append(clock.now))
    assert clock.now == pytest.approx(20.0)
    assert max(clock.naps) <= 0.5 and len(said) == len(clock.naps)


def test_idle_time_is_no_credit_and_a_slow_link_is_not_slowed_further() -> None:
    clock = Clock()
    pace = Pace(1_000, lambda: clock.now, clock.sleep)
    clock.now = 100.0
    pace.spent(1_000, pace.now(), lambda: None)
    assert clock.now == pytest.approx(101.0)
    since = pace.now()
    clock.now += 5.0
    pace.spent(1_000, since, lambda: None)
    assert clock.now == pytest.approx(106.0)


def test_no_rate_never_waits() -> None:
    clock = Clock()
    Pace(0, lambda: clock.now, clock.sleep).spent(10**12, 0.0, lambda: None)
    assert clock.now == 0.0
