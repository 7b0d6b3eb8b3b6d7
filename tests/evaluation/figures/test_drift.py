"""Drift of a host's last day: what raises an alarm, what does not, and what cannot be told."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rlstir_core.episodes.validation.verdicts import ValidationRow
from rlstir_core.evaluation.drift.compare import compare
from rlstir_core.evaluation.drift.days import DAY_NS, MOST, DriftSides, day_of, since_training
from rlstir_core.evaluation.drift.digest import Digests, Terms
from rlstir_core.evaluation.drift.distances import distances, probe
from rlstir_core.evaluation.drift.find import LEVEL, judge_day, judge_host
from rlstir_core.evaluation.drift.records import QUIET, UNTOLD, UP, Drift, HostDrift
from rlstir_core.evaluation.drift.words import alarm_sentence, drift_section

COLUMNS = 30


def world(
    recent: int = 6,
    before: int = 60,
    *,
    seed: int = 1,
    shift: float = 0.0,
    missing: tuple[str, ...] = (),
    clock_s: float = 0.0,
    templates: Terms = (),
) -> tuple[Digests, DriftSides]:
    """Recent episodes first; columns are correlated, one is mostly one value, one is constant and one has no value."""
    n = recent + before
    rng = np.random.default_rng(seed)
    x_EC = rng.normal(size=(n, COLUMNS)) + rng.normal(size=(n, 1))
    x_EC[:recent, 3] += shift
    x_EC[:, 4] = rng.random(n) < 0.05
    x_EC[:, 5] = 7.0
    x_EC[:, 6] = np.nan
    names = tuple(f"e{at}" for at in range(n))
    digests = Digests(
        episodes=names,
        columns=tuple(("level", f"c{at}") for at in range(COLUMNS)),
        x_EC=x_EC,
        missing=(frozenset(missing),) * recent + (frozenset(),) * before,
        clock_s=np.array([clock_s] * recent + [0.01] * before),
        templates=templates,
    )
    return digests, DriftSides(recent=names[:recent], before=names[recent:])


def judged(digests: Digests, sides: DriftSides, level: float = LEVEL) -> HostDrift:
    return judge_host("h", digests, sides, level=level, seed=0)


def test_a_channel_that_moved_raises_the_alarm_and_comes_first() -> None:
    found = judged(*world(shift=4.0))
    assert found.verdict == UP
    assert found.columns[0].name == "c3"
    assert found.columns[0].ks.value == pytest.approx(1.0, abs=0.15)
    assert found.n_columns == COLUMNS - 2  # neither the constant one nor the one without a value
    assert judged(*world(shift=4.0)) == found  # seeded


def test_days_without_drift_raise_alarms_at_the_rate_that_is_claimed() -> None:
    found = [judged(*world(recent=3 + night % 5, seed=night)) for night in range(200)]
    p = np.array([each.p for each in found])
    assert sum(each.verdict == UP for each in found) <= 6  # of 2 expected
    assert 0.12 < np.mean(p <= 0.2) < 0.28


def test_new_templates_raise_the_alarm_where_no_number_does() -> None:
    usual = {"a": 0.5, "b": 0.5}
    new = {"a": 0.4, "b": 0.4, "never seen": 0.2}
    old = [{**usual, f"once {at}": 0.01} for at in range(60)]  # a template of one episode is nothing new here
    found = judged(*world(templates=[new] * 6 + old))
    assert found.verdict == UP
    (novelty,) = found.novelty
    assert novelty.share == pytest.approx(0.2)
    assert novelty.expected < 0.05
    assert judged(*world(templates=[{**usual, f"new {at}": 0.01} for at in range(6)] + old)).verdict == QUIET


def test_a_source_or_a_clock_that_never_failed_is_a_fault_of_so_few_episodes_as_can_say_nothing_else() -> None:
    day = judge_day([judged(*world(recent=2, missing=("netflow",)))])
    (host,) = day.hosts
    assert host.p is None
    assert day.alarm and host.verdict == UP
    assert "source netflow is missing throughout" in alarm_sentence(day)
    assert "3600.0 s apart" in alarm_sentence(judge_day([judged(*world(recent=2, clock_s=3600.0))]))


def test_two_episodes_without_a_fault_cannot_tell_whatever_they_hold() -> None:
    found = judged(*world(recent=2, shift=50.0))
    assert found.verdict == UNTOLD
    assert not judge_day([found]).alarm


def test_one_episode_without_a_source_is_told_and_is_no_alarm_but_one_on_each_host_is() -> None:
    one = judged(*world(recent=1, missing=("netflow",)))
    assert one.faults
    assert not judge_day([one]).alarm  # chance 2 in 61
    both = judge_day([one, msgspec.structs.replace(one, host="i")])
    assert both.alarm
    assert "on all 2 hosts source netflow" in alarm_sentence(both)
    assert not judge_day([one, judged(*world(recent=1))]).alarm


def test_a_source_that_was_missing_now_and_then_is_a_fault_of_enough_episodes_and_one_often_missing_is_none() -> None:
    def with_past(recent: int, often: int) -> Drift:
        digests, sides = world(recent=recent, missing=("netflow",))
        missing = (*digests.missing[:-often], *[frozenset({"netflow"})] * often)
        return judge_day([judged(Digests(**{**vars(digests), "missing": missing}), sides)])

    assert with_past(3, 1).alarm  # chance 2 * 4 in 39,711
    assert "was in 1 episode before" in alarm_sentence(with_past(3, 1))
    assert not with_past(2, 12).alarm
    assert with_past(2, 58).hosts[0].faults == ()


def test_a_day_ends_with_the_newest_recording_and_its_past_is_bounded() -> None:
    def row(at: int, name: str) -> ValidationRow:
        return ValidationRow(
            host="h", episode_id=name, path="", verdict="ok", reason="", reasons=(), detail="", index_sha256="",
            sha256="", n_bytes=0, decode_sha256="", t_start_wall_ns=at, t_end_wall_ns=at + 1,
        )  # fmt: skip

    rows = [row(at, f"e{at}") for at in range(MOST + 20)]
    rows += [row(3 * DAY_NS, "new"), msgspec.structs.replace(rows[0], episode_id="x", t_start_wall_ns=None)]
    day = day_of(rows, 3 * DAY_NS + 1)
    assert day.recent == ("new",)
    assert len(day.before) == MOST and day.before[-1] == f"e{MOST + 19}"
    since = since_training(rows, {"e0": 1, "e1": 2}, 2)
    assert since.before == ("e0", "e1")
    assert len(since.recent) == MOST and since.recent[-1] == "new"
    assert since_training(rows, {"e518": 519}, 519).recent == ("new",)  # what began before training ended is not after


def test_distances_have_intervals_where_both_sides_are_large_enough_and_reasons_where_not() -> None:
    rng = np.random.default_rng(0)
    before, moved = rng.normal(size=200), rng.normal(size=60) + 1.5
    ks, psi = distances(before, moved, 0)
    assert ks.lo is not None and psi.lo is not None and 0.3 < ks.lo < (ks.value or 0) and psi.lo > 0.2
    same, _ = distances(before, rng.normal(size=60), 0)
    assert same.lo is not None and same.lo < 0.1
    few_ks, few_psi = distances(before, moved[:5], 0)
    assert few_ks.value is not None and few_ks.lo is None and "no interval below" in few_ks.note
    assert few_psi.value is None
    assert distances(before, np.full(30, np.nan), 0)[0].value is None


def test_the_probe_tells_hosts_apart_that_differ_and_not_those_that_do_not() -> None:
    digests, _ = world(recent=30, before=100)
    recent, before = range(30), range(30, 130)
    alike = probe(digests.x_EC, recent, before, 0)
    moved = digests.x_EC.copy()
    moved[:30] += 1.5
    apart = probe(moved, recent, before, 0)
    assert alike.lo is not None and alike.hi is not None and alike.lo < 0.5 < alike.hi
    assert (apart.lo or 0) > 0.6
    assert probe(moved, range(3), before, 0).value is None


def test_values_that_are_all_equal_or_all_missing_are_no_difference() -> None:
    for value in (1.0, np.nan):
        found = compare(np.full((20, 3), value), range(5), range(5, 20), level=LEVEL, seed=(0,))
        assert found.p == 1.0 and not found.moving_C.any()


def test_the_section_says_who_is_new_and_escapes_what_data_call_themselves() -> None:
    drift = Drift(until_wall_ns=0, hours=24, level=LEVEL, n_new=1, new=("<b>|x",))
    text = drift_section(drift)
    assert "No alarm." in text and "Not judged" in text and "<b>|x" not in text
    assert drift_section(None) == "" == alarm_sentence(drift)
