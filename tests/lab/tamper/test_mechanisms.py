"""What each operator leaves behind is what its mechanism would leave, and what is said twice is said alike."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tamper_logs import NEAR, SMALL, assert_exact, parsed

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.record_ids import Ids, audit_ids, journal_ids, windows_ids
from rlstir_core.hostlogs.schema import LogRow
from rlstir_core.lab.tamper.apply import BENIGN_ARTIFACTS, OPERATORS, Tampered, tampered, with_artifact
from rlstir_core.lab.tamper.records.clocks import moved

READ = {"auditd": audit_ids, "journald": journal_ids, "sysmon": windows_ids, "evtx": windows_ids}


def run(kind: str, operator: str, seed: int = 1, strength: float = 0.5) -> Tampered:
    return tampered(SMALL[kind], operator, np.random.default_rng(seed), strength=strength, near_ns=NEAR)


def before(kind: str) -> list[LogRow]:
    ((member, data),) = SMALL[kind].items()
    return parsed(member, data)


def after(made: Tampered) -> list[LogRow]:
    ((member, data),) = made.logs.items()
    return parsed(member, data)


def ids_of(rows: list[LogRow]) -> dict[str, list[Ids]]:
    found: dict[str, list[Ids]] = {}
    for row in rows:
        if row.parsed and not row.event_id.startswith("DAEMON_"):
            ids = READ[row.channel](row.fields_json)
            found.setdefault(f"{row.channel} {ids.log}", []).append(ids)
    return found


def gaps(ids: list[Ids]) -> int:
    numbers = sorted(each.number for each in ids)
    return sum(b - a - 1 for a, b in pairwise(numbers))


def forged(made: Tampered) -> list[LogRow]:
    ((_, origin),) = made.origin.items()
    return [row for row, place in zip(after(made), origin, strict=True) if place < 0]


NUMBERED = ("audit", "audit-raw", "journal", "nxlog", "winlogbeat", "evtx-dump", "evtx")


@pytest.mark.parametrize("kind", NUMBERED)
def test_a_removal_shows_in_the_numbers_and_a_renumbered_one_does_not(kind: str) -> None:
    old = sum(gaps(each) for each in ids_of(before(kind)).values())
    for seed in range(4):
        dropped, mended = run(kind, "drop_rows", seed), run(kind, "drop_renumber", seed)
        assert sum(gaps(each) for each in ids_of(after(dropped)).values()) >= old + sum(
            span.n_removed for span in dropped.spans
        )
        assert sum(gaps(each) for each in ids_of(after(mended)).values()) <= old
        for ids in ids_of(after(mended)).values():
            assert len({each.number for each in ids}) == len(ids)


def test_headers_go_with_the_events_numbers_and_an_export_s_headers_stay_in_step() -> None:
    made = run("evtx", "drop_renumber", 3)
    assert all(each.header == each.number for ids in ids_of(after(made)).values() for each in ids)
    export = re.sub(rb'"RecordHeader":{"EventRecordID":(\d+)', _counting(), SMALL["evtx"]["logs/sysmon.jsonl"])
    for seed in range(4):
        made = tampered({"logs/sysmon.jsonl": export}, "drop_renumber", np.random.default_rng(seed))
        headers = [windows_ids(row.fields_json).header for row in after(made) if row.parsed]
        assert headers == list(range(1, len(headers) + 1))


def _counting() -> object:
    n = iter(range(1, 10_000))
    return lambda _: b'"RecordHeader":{"EventRecordID":%d' % next(n)


@pytest.mark.parametrize("kind", ["nxlog", "winlogbeat", "evtx-dump", "evtx"])
def test_clearing_the_security_log_leaves_1102_and_any_other_104(kind: str) -> None:
    seen = set()
    for seed in range(8):
        made = run(kind, "clear_log_event", seed)
        (row,) = forged(made)
        cleared = windows_ids(row.fields_json).log
        assert row.provider == "Microsoft-Windows-Eventlog"
        assert (row.event_id, cleared) in {("1102", "Security"), ("104", "System")}
        if row.event_id == "104":
            assert "Microsoft-Windows-Sysmon/Operational" in row.fields_json
        else:
            numbers = [each.number for each in ids_of(after(made))["evtx Security"]]
            n_gone = sum(span.n_removed for span in made.spans)
            assert numbers[0] == ids_of(before(kind))["evtx Security"][n_gone - 1].number < numbers[1]
        (gap,) = [span for span in made.spans if span.after_seq is not None]
        assert gap.after_seq == -1 and gap.before_seq is not None and gap.before_seq >= 0
        seen.add(row.event_id)
    assert seen == {"1102", "104"}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("audit", "DAEMON_START"),
        ("journal", "Journal started"),
        ("auth", "rsyslogd"),
        ("auth-5424", "start"),
    ],
)
def test_clearing_a_linux_log_leaves_what_its_daemon_says_when_it_starts(kind: str, word: str) -> None:
    (row,) = forged(run(kind, "clear_log_event"))
    assert word in f"{row.event_id} {row.message} {row.provider}"
    assert forged(run(kind, "clear_log")) == []


@pytest.mark.parametrize("kind", ["audit", "nxlog", "evtx"])
def test_auditing_that_was_off_leaves_its_switching_and_no_missing_number(kind: str) -> None:
    old = sum(gaps(each) for each in ids_of(before(kind)).values())
    for seed in range(4):
        made = run(kind, "audit_disabled", seed)
        off, on = forged(made)
        if kind == "audit":
            assert [row.event_id for row in (off, on)] == ["CONFIG_CHANGE"] * 2
            assert '"audit_enabled":"0"' in off.fields_json and '"audit_enabled":"1"' in on.fields_json
        else:
            assert [row.event_id for row in (off, on)] == ["4719"] * 2
            assert "%%8448, %%8450" in off.fields_json and "%%8449, %%8451" in on.fields_json
        assert sum(gaps(each) for each in ids_of(after(made)).values()) <= old
        assert off.ts_ns <= on.ts_ns


@pytest.mark.parametrize("kind", ["audit", "nxlog", "evtx", "winlogbeat"])
def test_a_spoofed_parent_is_a_process_that_was_seen_before(kind: str) -> None:
    old, made = before(kind), run(kind, "spoof_parent", 2)
    rows = after(made)
    for seq in (seq for span in made.spans for seq in span.seqs):
        seen = {row.pid for row in old[:seq]}
        assert rows[seq].ppid in seen and rows[seq].ppid not in (old[seq].ppid, rows[seq].pid)
        assert rows[seq].exe == old[seq].exe and rows[seq].ts_ns == old[seq].ts_ns
        record = rows[seq].fields_json
        if "ParentImage" in record and kind != "audit":
            guid = re.findall(r'"ParentProcessGuid": ?"([^"]*)"', record)
            assert all(f"{rows[seq].ppid:04x}" in each for each in guid)


def test_children_hang_loose_when_their_parent_s_creation_is_gone() -> None:
    for kind in ("audit", "evtx"):
        old, made = before(kind), run(kind, "orphan_children", 1)
        origin = next(iter(made.origin.values()))
        gone = sorted(set(range(len(old))) - set(origin))
        for place in gone:
            assert any(row.ppid == old[place].pid for row in old[place + 1 :])


@pytest.mark.parametrize("kind", ["audit", "auth", "journal", "nxlog", "evtx"])
def test_an_emptied_history_has_the_rows_but_not_the_commands(kind: str) -> None:
    old, made = before(kind), run(kind, "blank_history")
    (span,) = made.spans
    rows = after(made)
    for seq in span.seqs:
        assert old[seq].cmdline and len(rows[seq].cmdline) < len(old[seq].cmdline)
        assert old[seq].cmdline not in rows[seq].fields_json
        assert rows[seq].pid == old[seq].pid and rows[seq].ts_ns == old[seq].ts_ns


def test_all_clocks_and_texts_of_a_record_say_the_new_time() -> None:
    made = run("nxlog", "clock_step", 2)
    (span,) = made.spans
    rows, old = after(made), before("nxlog")
    for seq in span.seqs:
        by_s = (rows[seq].ts_ns - old[seq].ts_ns) // 10**9
        one, other = json.loads(old[seq].fields_json), json.loads(rows[seq].fields_json)
        for key in ("EventTime", "EventReceivedTime", "UtcTime"):
            if key in one:
                assert other[key] == moved(one[key], by_s * 10**9) != one[key]
        if "UtcTime" in one:
            assert f"UtcTime: {other['UtcTime']}" in other["Message"]
            assert one["UtcTime"] not in rows[seq].fields_json
    made = run("journal", "clock_step", 2)
    (span,) = made.spans
    rows, old = after(made), before("journal")
    for seq in span.seqs:
        by_us = (rows[seq].ts_ns - old[seq].ts_ns) // 1000
        one, other = json.loads(old[seq].fields_json), json.loads(rows[seq].fields_json)
        for key in ("__REALTIME_TIMESTAMP", "__MONOTONIC_TIMESTAMP"):
            assert int(other[key]) - int(one[key]) == by_us
        assert f"t={int(other['__REALTIME_TIMESTAMP']):x};" in other["__CURSOR"]
        assert f"m={int(other['__MONOTONIC_TIMESTAMP']):x};" in other["__CURSOR"]


@pytest.mark.parametrize(
    "form",
    [
        "%d/%m/%Y",
        "%m/%d/%y",
        "%d.%m.%Y",
        "%Y-%m-%d",
        "%Y年%m月%d日",
        "%d. %m. %y",
        "%d/%m/2567",
        "Saturday, May %d, %Y",
    ],
)
def test_a_local_date_is_moved_in_the_layout_that_it_has_or_stays(form: str) -> None:
    lines = []
    for k in range(8):
        said = datetime.fromtimestamp(NEAR / 1e9 + 40 * k, UTC).strftime(form + " %T")
        lines.append(
            f"----\ntype=SYSCALL msg=audit({said}.123:{100 + k}) : syscall=execve pid={k} uid=root exe=/bin/x \n"
        )
    logs = {"logs/audit.log": "".join(lines).encode()}
    for operator in ("jitter", "clock_step"):
        try:
            made = tampered(logs, operator, np.random.default_rng(4), strength=0.5, near_ns=NEAR)
        except ConfigError:
            assert form.startswith("Saturday"), form
            continue
        assert_exact(logs, made.logs, made.origin, made.spans, operator)
        assert made.spans and made.logs != logs


def test_decoys_are_copies_of_rows_that_are_there_with_numbers_of_their_own() -> None:
    for kind in ("audit", "evtx", "journal", "auth"):
        old, made = before(kind), run(kind, "inject_decoys", 4)
        contents = {(row.message, row.exe, row.cmdline) for row in old}
        assert all((row.message, row.exe, row.cmdline) in contents for row in forged(made))
        if kind != "auth":
            for ids in ids_of(after(made)).values():
                assert len({each.number for each in ids}) == len(ids)


def test_a_rewritten_value_is_one_that_the_log_names_elsewhere() -> None:
    for kind in ("audit", "auth", "journal", "evtx", "winlogbeat"):
        ((member, data),) = SMALL[kind].items()
        for seed in range(4):
            made = run(kind, "rewrite_field", seed)
            (span,) = made.spans
            old_words = set(re.findall(rb"[\w.:\\/-]+", data))
            new_words = set(re.findall(rb"[\w.:\\/-]+", made.logs[member]))
            assert span.seqs and len(new_words - old_words) <= len(span.seqs)


def touched(kind: str, operator: str, seed: int, strength: float) -> int:
    return sum(span.n_removed + len(span.seqs) for span in run(kind, operator, seed, strength).spans)


def test_more_strength_touches_more() -> None:
    for kind in ("audit", "evtx"):
        for operator in ("drop_rows", "jitter", "clear_log"):
            weak, strong = (sum(touched(kind, operator, seed, share) for seed in range(8)) for share in (0.05, 1.0))
            assert weak < strong


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(sorted(SMALL)),
    operator=st.sampled_from(OPERATORS),
    seed=st.integers(0, 2**32),
    strength=st.floats(0, 1),
    cut=st.integers(0, 100_000),
)
@example(kind="audit", operator="rewrite_field", seed=0, strength=0.0, cut=5896)
@example(kind="evtx", operator="drop_channel", seed=0, strength=0.0, cut=3097)  # a record without a time of its own
def test_whatever_part_of_a_log_is_left_the_truth_about_it_is_exact(
    kind: str, operator: str, seed: int, strength: float, cut: int
) -> None:
    ((member, data),) = SMALL[kind].items()
    logs = {member: data[: cut % len(data)]}
    try:
        made = tampered(logs, operator, np.random.default_rng(seed), strength=strength, near_ns=NEAR)
    except ConfigError:
        return
    assert_exact(logs, made.logs, made.origin, made.spans, operator)


@pytest.mark.parametrize("harm", ["9" * 5000, "[" * 900 + "]" * 900, '"\\ud800"', '{"a":' * 500 + "1" + "}" * 500])
def test_a_record_that_means_harm_is_refused_or_left_alone(harm: str) -> None:
    for kind in ("journal", "nxlog", "evtx"):
        ((member, data),) = SMALL[kind].items()
        first = data.partition(b"\n")[0]
        bad = first[:-1] + b',"harm":' + harm.encode() + b"}\n"
        logs = {member: bad * 3 + data}
        for operator in OPERATORS:
            try:
                made = tampered(logs, operator, np.random.default_rng(1), strength=1.0, near_ns=NEAR)
            except ConfigError as error:
                assert "cannot apply to" in str(error)
                continue
            assert len(after(made)) == len(next(iter(made.origin.values())))
        for artifact in BENIGN_ARTIFACTS:
            with_artifact(logs, artifact, np.random.default_rng(1), near_ns=NEAR)


@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=300), operator=st.sampled_from(OPERATORS), kind=st.sampled_from(sorted(SMALL)))
def test_bytes_that_are_no_log_are_refused_or_left_alone(junk: bytes, operator: str, kind: str) -> None:
    ((member, data),) = SMALL[kind].items()
    half = data.find(b"\n", len(data) // 2) + 1
    logs = {member: data[:half] + junk + b"\n" + data[half:]}
    try:
        made = tampered(logs, operator, np.random.default_rng(0), near_ns=NEAR)
    except ConfigError:
        return
    assert_exact(logs, made.logs, made.origin, made.spans, operator)
