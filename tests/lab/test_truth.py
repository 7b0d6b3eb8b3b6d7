"""What the parsers and the graph get back of played episodes, and whether the truth points at the right rows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import linux_recovery
import numpy as np
import pytest
import windows_recovery

from rlstir_core.hostlogs.attack.truth import read_truth
from rlstir_core.hostlogs.parsers import spec_of_member
from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.lab.generate import make_episode, play
from rlstir_core.lab.machine.events import LoggedOn
from rlstir_core.lab.plan import EpisodePlan, LabOptions, plan_store
from rlstir_core.lab.signals import stream
from rlstir_core.lab.writers.linux import logs as linux_logs
from rlstir_core.lab.writers.windows import logs as windows_logs

HOSTS = ("elliott-thinkpad", "k-gamingcom", "lab-01", "lab-02", "lab-03", "lab-04")
OPTIONS = LabOptions(seed=21, tampered=0.0)


@pytest.fixture(scope="module")
def plans() -> list[EpisodePlan]:
    return plan_store(hosts=HOSTS, episodes=24, options=OPTIONS)


def table_of(plan: EpisodePlan, extra: dict[str, bytes]) -> Any:
    builder = TableBuilder(plan.host.name, plan.episode_id, 1_000_000)
    for member in sorted(extra):
        spec = spec_of_member(member)
        if spec is not None:
            context = LogContext(name=member, host=plan.host.name, near_ns=plan.start_wall_ns)
            builder.add(member, spec.rows([extra[member]], context))
    return builder.finish(read_truth(extra["gt_ttp_sequence.json"], extra["gt_tamper_spans.json"]))


@pytest.mark.parametrize("os", ["linux", "windows"])
def test_nearly_all_events_and_edges_of_untampered_episodes_come_back(plans: list[EpisodePlan], os: str) -> None:
    total: Counter[str] = Counter()
    missed: list[Any] = []
    for plan in plans:
        if plan.host.os != os:
            continue
        trace = play(plan, OPTIONS)
        writer, recovery = (linux_logs, linux_recovery) if os == "linux" else (windows_logs, windows_recovery)
        rng = stream(OPTIONS.seed, plan.episode_id, "log writers")
        logs = writer.write(trace.guest, trace.boot, trace.events, trace.living, rng)
        found = recovery.recover(trace.guest, trace.boot, trace.events, logs)
        total.update(events=found.events, found=found.found, edges=found.edges, edges_found=found.edges_found)
        missed += list(found.missed)[:3]
    assert total["events"] > 2_000 and total["edges"] > 1_000
    assert total["found"] >= 0.99 * total["events"], missed[:10]
    assert total["edges_found"] >= 0.99 * total["edges"], missed[:10]


def test_the_truth_points_at_rows_of_the_attack_and_at_no_others(plans: list[EpisodePlan]) -> None:
    labelled = rows = 0
    for plan in plans[:12]:
        made = make_episode(plan, OPTIONS)
        table = table_of(plan, made.extra)
        labels = table["label_ttp"].to_pylist()
        truth = read_truth(made.extra["gt_ttp_sequence.json"], None)
        assert truth.n_bad == 0
        if plan.benign:
            assert not truth.techniques and not any(labels)
            continue
        pids = {pid for action in truth.techniques for pid in action.pids}
        of_attack = [pid for pid, label in zip(table["pid"].to_pylist(), labels, strict=True) if label]
        assert set(of_attack) <= pids
        labelled += len(of_attack)
        rows += len(labels)
    assert 0 < labelled < 0.5 * rows


def test_actions_lie_in_the_recording_and_name_processes_that_acted(plans: list[EpisodePlan]) -> None:
    for plan in plans:
        trace = play(plan, OPTIONS)
        acting = {event.who.pid for event in trace.events}
        for action in trace.techniques:
            assert trace.boot.start_ns - 10**9 <= action.t_start_wall_ns <= action.t_end_wall_ns
            assert action.t_end_wall_ns <= trace.boot.end_ns + 10**7
            assert action.pids and set(action.pids) <= acting


def test_a_fixed_pid_never_marks_an_attack(plans: list[EpisodePlan]) -> None:
    seen = Counter(pid for plan in plans for action in play(plan, OPTIONS).techniques for pid in set(action.pids))
    episodes = sum(not plan.benign for plan in plans)
    shared = {pid for pid, n in seen.items() if n > 0.4 * episodes}
    assert shared <= {1, 4}  # init and System


def test_no_text_of_a_log_says_what_the_lab_knows(plans: list[EpisodePlan]) -> None:
    words = (b"suspicious", b"malicious", b"attack", b"benign", b"scenario", b"technique", b"twin", b"tamper")
    for plan in plans[:12]:
        logs = {name: raw for name, raw in make_episode(plan, OPTIONS).extra.items() if name.startswith("logs/")}
        for name, raw in logs.items():
            found = [word for word in words if word in raw.lower()]
            assert not found, (name, found)


def test_twins_share_all_but_the_tampered_logs() -> None:
    honest, tampered = LabOptions(seed=4, tampered=0.0), LabOptions(seed=4, tampered=1.0)
    pairs = zip(
        plan_store(hosts=HOSTS[:2], episodes=8, options=honest),
        plan_store(hosts=HOSTS[:2], episodes=8, options=tampered),
        strict=True,
    )
    for one, other in pairs:
        a, b = make_episode(one, honest), make_episode(other, tampered)
        assert (a.meta, a.labels, a.sources) == (b.meta, b.labels, b.sources)
        assert a.extra["gt_ttp_sequence.json"] == b.extra["gt_ttp_sequence.json"]
        assert read_truth(None, a.extra["gt_tamper_spans.json"]).spans == ()
        spans = read_truth(None, b.extra["gt_tamper_spans.json"]).spans
        assert spans
        changed = {name for name in a.extra if name.startswith("logs/") and a.extra[name] != b.extra.get(name)}
        assert changed == {span.member for span in spans}


def test_failed_logins_happen_in_honest_episodes_too(plans: list[EpisodePlan]) -> None:
    failed = [
        any(type(event) is LoggedOn and not event.ok for event in play(plan, OPTIONS).events)
        for plan in plans
        if plan.benign
    ]
    assert np.mean(failed) > 0.5
