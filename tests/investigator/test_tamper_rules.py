"""Rules that say where logs were tampered with: they speak with rows and reasons, and are quiet on honest logs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from tamper_world import EVENTLOG, SECURITY, T0, audit, event, export, guid, lines, syslog, table

from rlstir_core.investigator.tamper.calibration import (
    Calibration,
    calibrated,
    default_calibration,
    kind_of,
    read_calibration,
    write_calibration,
)
from rlstir_core.investigator.tamper.finding import Finding, counted, spelled_ns
from rlstir_core.investigator.tamper.log_file import log_files
from rlstir_core.investigator.tamper.spans import findings, tamper_of

NOTHING = Calibration(rows={}, findings={}, file_threshold={})


def said(rows: pa.Table) -> dict[str, Finding]:
    """The last finding of each rule."""
    return {finding.rule: finding for file in log_files(rows) for finding in findings(file)}


def steady(n: int, **more: Any) -> list[dict[str, Any]]:
    return [event(900 + k, 10 * k, **more) for k in range(n)]


def without(records: list[Any], start: int, end: int) -> list[Any]:
    return records[:start] + records[end:]


HONEST = {
    "export": lines(export([3.5 * k for k in range(40)])),
    "filtered": lines(export([3.5 * k for k in range(40)], [900 + 7 * k for k in range(40)])),
    "live": lines(event(900 + k, 10 * k, header=(900 + k, 10 * k)) for k in range(40)),
    "json": lines(steady(40)),
    "unnumbered": lines(
        {"Event": {"System": {**each["Event"]["System"], "EventRecordID": None}}} for each in steady(9)
    ),
}


@pytest.mark.parametrize("kind", HONEST)
def test_honest_logs_make_no_rule_speak(kind: str) -> None:
    assert said(table(sysmon_jsonl=HONEST[kind])) == {}


def test_a_gap_in_the_headers_of_a_file_is_named_with_both_ids() -> None:
    rows = table(sysmon_jsonl=lines(without(export([3.5 * k for k in range(40)]), 20, 23)))
    found = said(rows)["header-gap"]
    assert (found.first, found.last, found.gap) == (19, 20, True)
    assert found.reason == "header ids 21 to 23 missing, event ids too"
    (span,) = tamper_of(rows).spans
    assert (span.after_seq, span.before_seq, span.kind) == (19, 20, "drop_rows") and span.score > 0.9
    assert (span.t_start_ns, span.t_end_ns) == (T0 * 10**9 + 66_500_000_000, T0 * 10**9 + 80_500_000_000)


def test_a_file_whose_headers_do_not_begin_at_one_lost_its_beginning() -> None:
    rows = table(sysmon_jsonl=lines(export([3.5 * k for k in range(40)])[5:]))
    assert said(rows)["header-start"].reason == "the file's first header id is 6, not 1"
    assert tamper_of(rows).spans[0].after_seq == -1
    assert "header-start" not in {f.rule for file in list(log_files(rows, most=20))[1:] for f in findings(file)}


def test_records_that_were_renumbered_still_have_headers_of_those_that_are_gone() -> None:
    kept = without(export([3.5 * k for k in range(40)]), 20, 23)
    for place, record in enumerate(kept):
        record["RecordHeader"]["EventRecordID"] = place + 1
        record["Event"]["System"]["EventRecordID"] = 900 + place
    found = said(table(sysmon_jsonl=lines(kept)))
    assert set(found) == {"header-clock-between"} and found["header-clock-between"].rows == (19, 20)


def test_a_shifted_time_does_not_fit_the_header_before_it() -> None:
    records = export([3.5 * k for k in range(40)])
    records[20] = {**event(920, 1.0), "RecordHeader": records[20]["RecordHeader"]}
    found = said(table(sysmon_jsonl=lines(records)))
    assert "header-clock" in found and "time-back-once" in found


def test_a_live_log_has_the_same_time_in_header_and_event() -> None:
    records = [event(900 + k, 10 * k, header=(900 + k, 10 * k + (4 if k in (7, 8) else 0))) for k in range(40)]
    found = said(table(sysmon_jsonl=lines(records)))["header-clock-own"]
    assert found.rows == (7, 8) and "up to 4 seconds away" in found.reason


def test_an_id_gap_counts_by_how_unlike_its_log_it_is() -> None:
    lonely = said(table(sysmon_jsonl=lines(without(steady(200), 100, 110))))["id-gap"]
    assert lonely.reason == "event ids 1000 to 1009 missing in a log where 0 other gaps like it stand beside 190 rows"
    often = [each for each in steady(200) if each["Event"]["System"]["EventRecordID"] % 9]
    assert said(table(sysmon_jsonl=lines(often))) == {}


def test_lost_audit_records_are_explained_by_the_kernel_s_word_and_by_a_daemon_that_was_away() -> None:
    serials = [*range(100, 150), *range(160, 200)]
    assert "id-gap" in said(table(audit_log=audit(serials)))
    told = syslog([(50, "kernel", "audit: audit_lost=9 audit_rate_limit=0 audit_backlog_limit=64")])
    assert said(table(audit_log=audit(serials), auth_log=told)) == {}
    away = [*range(100, 150), 7, 8, *range(160, 200)]
    assert said(table(audit_log=audit(away, {50: "DAEMON_END op=x", 51: "DAEMON_START op=start"}))) == {}


def test_a_step_back_ends_at_the_leap_of_its_size() -> None:
    records = [event(900 + k, 10 * k + (300 if 20 <= k < 30 else 0)) for k in range(60)]
    found = said(table(sysmon_jsonl=lines(records)))["time-back-once"]
    assert found.rows == (20, 29) and "time runs back 1 time, by up to 5 minutes" in found.reason


def test_a_clock_that_steps_in_every_log_or_is_said_to_be_set_is_no_tampering() -> None:
    def stepped(**more: Any) -> list[dict[str, Any]]:
        return [event(900 + k, 10 * k - (40 if k >= 30 else 0), **more) for k in range(60)]

    both = [each for pair in zip(stepped(), stepped(channel="Application"), strict=True) for each in pair]
    assert said(table(sysmon_jsonl=lines(both))) == {}
    assert set(said(table(sysmon_jsonl=lines(stepped())))) == {"time-back-once"}
    told = syslog([(290, "chronyd[741]", "System clock was stepped by -40.000000 seconds")])
    assert said(table(sysmon_jsonl=lines(stepped()), auth_log=told)) == {}


def test_shaken_times_are_one_stretch_and_a_log_without_any_order_is_none() -> None:
    shake = np.random.default_rng(3).uniform(-9, 9, 60)
    records = [event(900 + k, 100 + 2 * k + (shake[k] if 20 <= k < 40 else 0)) for k in range(60)]
    found = said(table(sysmon_jsonl=lines(records)))["time-back"]
    assert 18 <= found.first < found.last <= 41
    wild = [event(900 + k, 100 + 2 * k + shake[k]) for k in range(60)]
    assert said(table(sysmon_jsonl=lines(wild))) == {}


@pytest.mark.parametrize(("event_id", "extra"), [(1102, {}), (104, {"Channel": "Security"})])
def test_a_log_that_was_cleared_is_named_with_the_next_row_of_it(event_id: int, extra: dict[str, str]) -> None:
    notice = event(920, 205, event_id, provider=EVENTLOG, SubjectUserName="eve", **extra)
    rows = table(sysmon_jsonl=lines([*steady(20), notice, event(30, 300, provider=SECURITY)]))
    assert said(rows)["cleared"].rows == (20, 21)
    assert "the log Security was cleared" in said(rows)["cleared"].reason


def test_auditing_is_off_until_a_notice_of_the_same_kind_puts_it_on() -> None:
    def policy(second: int, change: str) -> dict[str, Any]:
        words = {"SubcategoryGuid": "{0CCE922B}", "AuditPolicyChanges": change}
        return event(900 + second, second, 4719, provider=SECURITY, **words)

    others = [event(900 + k, k, provider=SECURITY) for k in (1, 2, 4)]
    both = said(table(sysmon_jsonl=lines([policy(0, "%%8448"), *others[:2], policy(3, "%%8449"), others[2]])))
    assert both["audit-off"].rows == (0, 3) and both["audit-off"].strength == 1.0
    alone = said(table(sysmon_jsonl=lines([policy(0, "%%8450"), *others])))["audit-off"]
    assert alone.rows == (0, 0) and alone.reason.endswith("nothing puts them back")
    off, on = (f"CONFIG_CHANGE op=set audit_enabled={new} old={1 - new} auid=0 ses=1 res=1" for new in (0, 1))
    assert said(table(audit_log=audit(range(50, 90), {10: off, 20: on})))["audit-off"].rows == (10, 20)
    assert said(table(audit_log=audit(range(50, 90), {10: off})))["audit-off"].rows == (10, 10)


def test_a_daemon_that_starts_without_an_end_stands_where_a_log_was_emptied() -> None:
    start = {0: "DAEMON_START op=start ver=3 pid=712 res=success"}
    found = said(table(audit_log=audit([7, *range(5000, 5050)], start)))["start-without-end"]
    assert "serials go on at 5000" in found.reason and "no new daemon" in found.reason and found.rows == (0, 1)
    assert "start-without-end" not in said(table(audit_log=audit([7, *range(1, 50)], start)))
    quiet = [(k, "sshd[7]", f"session {k}") for k in range(20, 40)]
    alone = said(table(auth_log=syslog([(10, "rsyslogd", '[origin software="rsyslogd"] (re)start'), *quiet])))
    assert alone["start-without-end"].rows == (0, 1)
    ended = [(9, "rsyslogd", '[origin software="rsyslogd"] exiting on signal 15.')]
    assert said(table(auth_log=syslog([*ended, (10, "rsyslogd", '[origin software="rsyslogd"] start'), *quiet]))) == {}


def test_a_command_is_missed_where_its_kind_always_has_one() -> None:
    def shell(k: int, text: str) -> dict[str, Any]:
        return event(900 + k, 10 * k, 4688, provider=SECURITY, NewProcessId=hex(k + 9), CommandLine=text)

    rows = table(sysmon_jsonl=lines(shell(k, "" if k in (20, 22) else f"cmd /c {k}") for k in range(40)))
    found = said(rows)["empty-command"]
    assert found.rows == (20, 22) and "which has one in 95% of such rows" in found.reason
    never = said(table(sysmon_jsonl=lines(shell(k, "") for k in range(40))))["empty-command"]
    assert never.strength < 0 < found.strength
    blanked = f'EXECVE argc=0\ntype=PROCTITLE msg=audit({T0 + 3}.000:103): proctitle=""'
    assert "empty-command" in said(table(audit_log=audit(range(100, 140), {3: blanked})))
    sudo = [
        (k, "sudo", f"anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND={'/bin/id' if k < 9 else ''}") for k in range(10)
    ]
    assert said(table(auth_log=syslog(sudo)))["empty-command"].rows == (9, 9)


def test_rows_that_stand_again_as_far_apart_are_copies_and_a_habit_is_none() -> None:
    seconds = list(np.cumsum(np.random.default_rng(1).uniform(0.5, 9, 30)))
    records = [event(900 + k, second, Detail=f"one {k}") for k, second in enumerate(seconds)]
    copied = [event(930 + k, seconds[5 + k] + 600.5, Detail=f"one {5 + k}") for k in range(6)]
    found = said(table(sysmon_jsonl=lines([*records, *copied])))["copies"]
    assert found.rows == (30, 35) and found.reason.startswith("6 rows say word for word")
    habit = [event(900 + k, 10 * k, Detail=f"one {k % 3}") for k in range(30)]
    assert said(table(sysmon_jsonl=lines(habit))) == {}


def created(
    number: int, second: int, pid: int, ppid: int, own: str, parent: str, image: str = "p.exe"
) -> dict[str, Any]:
    words = {"ProcessGuid": own, "ParentProcessGuid": parent, "ProcessId": pid, "ParentProcessId": ppid}
    return event(number, second, 1, Image="C:\\a.exe", CommandLine="a", ParentImage=f"C:\\{image}", **words)


def test_a_process_begins_once_and_its_parent_is_who_it_is() -> None:
    parent = guid(0, 1)
    born = [created(900, 0, 10, 4, parent, guid(-99, 9))]
    children = [created(901 + k, 10 + k, 20 + k, 10, guid(10 + k, 20 + k), parent, "a.exe") for k in range(6)]
    assert said(table(sysmon_jsonl=lines([*born, *children]))) == {}
    again = said(table(sysmon_jsonl=lines([*born, *children, created(907, 90, 22, 10, guid(12, 22), parent, "a.exe")])))
    assert again["created-twice"].rows == (7, 7)
    other = created(907, 30, 40, 77, guid(30, 40), parent, "a.exe")
    assert "not to 77" in said(table(sysmon_jsonl=lines([*born, *children, other])))["parent-pid"].reason
    named = created(907, 30, 40, 10, guid(30, 40), parent, "b.exe")
    assert "said to be b.exe" in said(table(sysmon_jsonl=lines([*born, *children, named])))["parent-program"].reason


def test_two_logs_that_tell_of_one_creation_must_name_one_parent() -> None:
    def both(k: int, creator: int) -> list[dict[str, Any]]:
        words = {
            "NewProcessId": hex(20 + k),
            "ProcessId": hex(creator),
            "NewProcessName": "C:\\a.exe",
            "CommandLine": "a",
        }
        security = event(300 + k, 10 * k, 4688, provider=SECURITY, **words)
        return [created(900 + k, 10 * k, 20 + k, 10, guid(10 * k, k + 1), guid(-9, 99)), security]

    honest = [each for k in range(8) for each in both(k, 10)]
    assert said(table(sysmon_jsonl=lines(honest))) == {}
    found = said(table(sysmon_jsonl=lines([*honest, *both(8, 11)])))["parent-twin"]
    assert found.rows == (17, 17) and "process 11 here and 10 in the other log" in found.reason


def test_a_process_whose_beginning_is_gone_is_known_by_the_second_in_its_guid() -> None:
    def named(k: int) -> list[dict[str, Any]]:
        own = guid(10 * k, k + 1)
        made = [
            created(0, 10 * k, 20 + k, 10, own, guid(-9, 99)),
            event(0, 10 * k + 1, 3, ProcessGuid=own, ProcessId=20 + k),
        ]
        for each in made:
            each["Event"]["System"]["EventRecordID"] = None
        return made

    records = [each for k in range(12) for each in named(k)]
    assert said(table(sysmon_jsonl=lines(records))) == {}
    found = said(table(sysmon_jsonl=lines(without(records, 12, 13))))["beginning-missing"]
    assert found.rows == (11, 12) and "10 others in this log have one" in found.reason


def test_a_score_falls_with_what_honest_logs_show_and_with_the_length_of_the_file(tmp_path: Any) -> None:
    (honest,) = log_files(table(sysmon_jsonl=lines(without(steady(200), 100, 110))))
    calibration = calibrated([(honest, findings(honest))] * 30)
    assert kind_of(honest) == "windows" and calibration.rows == {"windows": 30 * 190}
    (strength,) = (each.strength for each in findings(honest))
    scores = [calibration.score("windows", "id-gap", strength + more, 1000) for more in (0.0, 1.0)]
    assert scores[0] < 0.1 < 0.5 < scores[1]
    assert calibration.score("windows", "id-gap", strength + 1, 100_000) < scores[1]
    assert calibration.score("audit", "id-gap", strength, 1000) < 0.5  # few rows of a kind lean on all
    assert NOTHING.score("audit", "id-gap", strength, 1000) < 0.01  # nothing is known
    write_calibration(tmp_path / "c.csv", calibration)
    assert read_calibration(tmp_path / "c.csv") == calibration


def test_what_ships_is_quiet_on_an_honest_file_and_flags_one_with_a_gap() -> None:
    assert default_calibration().rows["windows"] > 100_000
    whole = tamper_of(table(sysmon_jsonl=HONEST["json"], audit_log=audit(range(100, 140))))
    assert whole.spans == () and not whole.p_tamper_N.any()
    assert [(each.member, each.kind, each.flagged) for each in whole.files] == [
        ("logs/audit.log", "audit", False),
        ("logs/sysmon.jsonl", "windows", False),
    ]
    cut = tamper_of(table(sysmon_jsonl=lines(without(steady(900), 100, 130))))
    assert cut.files[0].flagged and np.flatnonzero(cut.p_tamper_N >= 0.5).tolist() == [99, 100]
    assert cut.spans[0].reasons[0].startswith("event ids 1000 to 1029 missing")


def test_marks_of_one_deed_are_one_span_with_all_their_reasons() -> None:
    records = export([3.5 * k for k in range(60)])
    for k in range(20, 32, 2):
        records[k] = event(900 + k, 3.5 * k + 40, header=(k + 1, 3.5 * k + 43.5))
    (span,) = tamper_of(table(sysmon_jsonl=lines(records))).spans
    assert 18 <= span.after_seq <= 20 and 30 <= span.before_seq <= 32 and not span.gap
    assert len(span.reasons) >= 2
    cleared = [event(0, 100, 1102, provider=EVENTLOG, header=(6, 105)), *export([3.5 * k for k in range(60)])[6:]]
    spans = tamper_of(table(sysmon_jsonl=lines(cleared))).spans
    assert [each.kind for each in spans].count("clear_log_event") + [each.kind for each in spans].count(
        "clear_log"
    ) == 1


def test_lengths_are_said_in_the_largest_unit_that_tells_them() -> None:
    assert [spelled_ns(s * 10**9) for s in (1, 200, 8000, 200_000)] == ["1 seconds", "3 minutes", "2 hours", "2 days"]
    assert counted(1, "row") == "1 row" and counted(2, "row") == "2 rows"
