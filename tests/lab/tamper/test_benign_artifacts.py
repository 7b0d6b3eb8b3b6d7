"""Benign artifacts leave no span; the parsers read what comes out, and the host's own words stand beside it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tamper_logs import NEAR, SMALL, journal, parsed, told

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.record_ids import audit_ids, journal_ids, windows_ids
from rlstir_core.hostlogs.schema import LogRow
from rlstir_core.lab.tamper.apply import BENIGN_ARTIFACTS, WithArtifact, with_artifact

LINUX = {**SMALL["audit"], **SMALL["auth-iso"], **SMALL["journal"]}
WINDOWS = SMALL["evtx"]
HAPPENS = {
    "linux": set(BENIGN_ARTIFACTS),
    "windows": set(BENIGN_ARTIFACTS) - {"journald_suppression", "audit_backlog", "logrotate", "suspend"},
}


def run(logs: dict[str, bytes], artifact: str, seed: int = 1) -> WithArtifact:
    return with_artifact(logs, artifact, np.random.default_rng(seed), near_ns=NEAR)


def rows_of(made: WithArtifact) -> dict[str, list[LogRow]]:
    return {member: parsed(member, data) for member, data in made.logs.items()}


def new_rows(made: WithArtifact) -> list[LogRow]:
    """The rows that the host wrote about what happened."""
    rows = rows_of(made)
    return [rows[member][seq] for member, came in made.origin.items() for seq, place in enumerate(came) if place < 0]


def lost(made: WithArtifact, member: str, logs: dict[str, bytes]) -> list[int]:
    return sorted(set(range(len(parsed(member, logs[member])))) - set(made.origin[member]))


@pytest.mark.parametrize("artifact", BENIGN_ARTIFACTS)
@pytest.mark.parametrize("name", ["linux", "windows"])
def test_a_benign_artifact_leaves_logs_that_parse_and_rows_that_can_be_traced(artifact: str, name: str) -> None:
    logs = LINUX if name == "linux" else WINDOWS
    happened = 0
    for seed in range(5):
        made = run(logs, artifact, seed)
        assert set(made.logs) == set(logs)
        happened += bool(made.origin)
        for member, data in made.logs.items():
            if member not in made.origin:
                assert data == logs[member]
                continue
            old, new = parsed(member, logs[member]), parsed(member, data)
            came = made.origin[member]
            assert len(new) == len(came) and len({place for place in came if place >= 0}) == sum(p >= 0 for p in came)
            for row, place in zip(new, came, strict=True):
                assert row.parsed == (place < 0 or old[place].parsed)
                if place >= 0 and artifact not in ("ntp_step", "filtered_export"):
                    assert told(row, True) == told(old[place], True)
    if (name, artifact) == ("windows", "suspend"):  # a minute and a half of log is short for a sleep
        assert 0 < happened < 5
    else:
        assert happened == (5 if artifact in HAPPENS[name] else 0)


def test_an_export_that_was_filtered_keeps_gaps_in_the_events_ids_and_counts_its_headers_from_one() -> None:
    made = run(WINDOWS, "filtered_export")
    rows = [row for row in rows_of(made)["logs/sysmon.jsonl"] if row.parsed]
    ids = [windows_ids(row.fields_json) for row in rows]
    assert [each.header for each in ids] == sorted(each.header for each in ids)
    assert max(each.header for each in ids) == len(made.origin["logs/sysmon.jsonl"])
    assert {each.number for each in ids} < {
        windows_ids(row.fields_json).number for row in parsed("logs/sysmon.jsonl", WINDOWS["logs/sysmon.jsonl"])
    }
    written = [each.written_ns for each in ids if each.written_ns is not None]
    assert written == sorted(written) and written[0] > max(row.ts_ns for row in rows)


def test_what_a_ring_rolled_over_is_the_oldest_of_one_log() -> None:
    made = run(LINUX, "ring_rollover", 3)
    ((member, came),) = made.origin.items()
    kept = [place for place in came if parsed(member, LINUX[member])[place].parsed]
    assert kept == list(range(kept[0], kept[-1] + 1)) or kept[0] > 0


def test_journald_says_how_many_messages_it_dropped_and_never_numbered_them() -> None:
    made = run(LINUX, "journald_suppression")
    (row,) = new_rows(made)
    n = len(lost(made, "logs/journal.jsonl", LINUX))
    assert row.message == f"Suppressed {n} messages from {row.message.rpartition(' ')[2]}"
    assert row.provider == "systemd-journald" and n >= 1
    numbers = [journal_ids(row.fields_json).number for row in rows_of(made)["logs/journal.jsonl"] if row.parsed]
    assert np.diff(numbers).tolist() == [1] * (len(numbers) - 1)


def test_audit_records_that_were_lost_leave_gaps_and_a_word_in_the_journal() -> None:
    made = run(LINUX, "audit_backlog")
    n = len(lost(made, "logs/audit.log", LINUX))
    assert [row.message for row in new_rows(made)] == [
        "audit: backlog limit exceeded",
        f"audit: audit_lost={n} audit_rate_limit=0 audit_backlog_limit=64",
    ]
    before = {audit_ids(row.fields_json).number for row in parsed("logs/audit.log", LINUX["logs/audit.log"])}
    after = {audit_ids(row.fields_json).number for row in rows_of(made)["logs/audit.log"]}
    assert after < before


@pytest.mark.parametrize(("logs", "word"), [(LINUX, "chronyd"), (WINDOWS, "Microsoft-Windows-Kernel-General")])
def test_a_clock_that_is_set_moves_every_later_time_by_the_same(logs: dict[str, bytes], word: str) -> None:
    made = run(logs, "ntp_step")
    steps = set()
    for member, new in rows_of(made).items():
        old = parsed(member, logs[member])
        for row, place in zip(new, made.origin[member], strict=True):
            if place >= 0 and row.parsed:
                steps.add(row.ts_ns - old[place].ts_ns)
    assert len(steps - {0}) == 1 and 0 in steps
    assert 0.2e9 <= abs((steps - {0}).pop()) <= 5e9
    assert [row.provider for row in new_rows(made)] == [word]


def test_the_boots_own_clock_does_not_step() -> None:
    made = run(SMALL["journal"], "ntp_step")
    pattern = re.compile(r'"__MONOTONIC_TIMESTAMP":"(\d+)"')
    old, new = (pattern.findall(logs["logs/journal.jsonl"].decode()) for logs in (SMALL["journal"], made.logs))
    assert set(old) <= set(new)


def test_a_log_that_was_rotated_begins_with_the_rotation() -> None:
    for seed in range(6):
        made = run({**SMALL["audit"], **SMALL["auth"]}, "logrotate", seed)
        ((member, came),) = made.origin.items()
        first = next(seq for seq, row in enumerate(rows_of(made)[member]) if row.parsed)
        assert came[first] == -1
        row = rows_of(made)[member][first]
        assert row.event_id == "DAEMON_ROTATE" or "HUPed" in row.message


def test_a_host_that_is_never_quiet_loses_what_it_would_have_written_asleep() -> None:
    busy = {"logs/journal.jsonl": journal(400, quiet_us=600_000)}
    made = run(busy, "suspend", 2)
    down, up = new_rows(made)
    n = len(lost(made, "logs/journal.jsonl", busy))
    assert 0 < n < 80
    rows = [row for row in rows_of(made)["logs/journal.jsonl"] if row.parsed]
    assert [row for row in rows if down.ts_ns < row.ts_ns < up.ts_ns] == []
    numbers = [journal_ids(row.fields_json).number for row in rows]
    assert np.diff(numbers).tolist() == [1] * (len(numbers) - 1)


def test_a_sleep_loses_nothing_and_stands_in_the_longest_silence() -> None:
    made = run(LINUX, "suspend")
    down, up = new_rows(made)
    assert all(not lost(made, member, LINUX) for member in made.origin)
    every = [row for rows in rows_of(made).values() for row in rows if row.parsed]
    assert [row for row in every if down.ts_ns < row.ts_ns < up.ts_ns] == []


def test_records_that_changed_places_have_almost_one_time() -> None:
    made = run(WINDOWS, "cpu_reorder", 2)
    came = made.origin["logs/sysmon.jsonl"]
    moved = [seq for seq, place in enumerate(came) if seq != place]
    assert moved and sorted(came) == list(range(len(came)))
    rows = rows_of(made)["logs/sysmon.jsonl"]
    for one, other in zip(moved[::2], moved[1::2], strict=True):
        assert abs(rows[one].ts_ns - rows[other].ts_ns) <= 2_000_000


def test_a_sensor_that_restarts_says_so_and_misses_what_lay_between() -> None:
    made = run(WINDOWS, "agent_restart")
    rows, came = rows_of(made)["logs/sysmon.jsonl"], made.origin["logs/sysmon.jsonl"]
    states = [(seq, rows[seq].fields_json) for seq, place in enumerate(came) if place < 0]
    assert ['"Stopped"' in states[0][1], '"Started"' in states[1][1]] == [True, True]
    assert all(rows[seq].event_id == "4" and rows[seq].channel == "sysmon" for seq, _ in states)
    assert lost(made, "logs/sysmon.jsonl", WINDOWS)
    made = run(SMALL["audit"], "agent_restart")
    assert [row.event_id for row in new_rows(made)] == ["DAEMON_END", "DAEMON_START"]


def test_equal_draws_give_equal_bytes_and_what_is_unknown_is_refused() -> None:
    for artifact in BENIGN_ARTIFACTS:
        assert run(LINUX, artifact) == run(LINUX, artifact)
    with pytest.raises(ConfigError, match="is unknown; known are filtered_export"):
        run(LINUX, "cosmic_ray")
    nothing = with_artifact({}, "suspend", np.random.default_rng(0))
    assert nothing == WithArtifact(logs={}, origin={})
