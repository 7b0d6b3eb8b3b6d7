"""Templates that a record's form tells: equal for equal kinds of events, whatever stands in the rest."""

from __future__ import annotations

import json

import pytest

from rlstir_core.hostlogs.attack.truth import LogTruth
from rlstir_core.hostlogs.parsers import spec_of
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.table import TableBuilder
from rlstir_core.hostlogs.templates.structured import kind, place, program
from rlstir_core.hostlogs.windows.event import plan_of


def test_a_program_of_the_system_is_named_and_any_other_is_a_parameter() -> None:
    assert program("/usr/bin/curl") == "curl"
    assert program("C:\\Windows\\System32\\CertUtil.exe") == "certutil.exe"
    assert program("/tmp/.x/payload") == "<*>"
    assert program("C:\\Users\\anna\\update.exe") == "<*>"
    assert program("/usr/bin/a b;c") == "<*>"
    assert program("") == "<*>"


def test_of_a_path_the_root_stays() -> None:
    assert place("/etc/passwd") == "/etc/<*>"
    assert place("/odd/place") == "<*>"
    assert place("C:\\Users\\anna\\a.txt") == "c:\\users\\<*>"
    assert place("HKLM\\SOFTWARE\\X\\Run") == "hklm\\software\\<*>"
    assert place("D:\\data\\x") == "d:\\<*>"
    assert place("relative") == "<*>"


def test_a_value_that_is_no_short_word_is_a_parameter() -> None:
    assert kind("High") == "High"
    assert kind("%%1937") == "%%1937"
    assert kind("two words") == "<*>"
    assert kind("x" * 40) == "<*>"
    assert kind("") == "<*>"


def rows(form: str, text: str) -> list[LogRow]:
    return list(spec_of(form).rows([text.encode()], LogContext()))


def sysmon(image: str, command: str, level: str = "High") -> str:
    return json.dumps(
        {
            "EventID": 1,
            "SourceName": "Microsoft-Windows-Sysmon",
            "UtcTime": "2026-03-02 08:00:00.000",
            "Image": image,
            "CommandLine": command,
            "IntegrityLevel": level,
            "ProcessId": 4711,
        }
    )


def test_command_lines_do_not_make_templates_and_levels_and_programs_do() -> None:
    cmd = "C:\\Windows\\System32\\cmd.exe"
    told = [
        row.template
        for row in rows(
            "windows_json",
            "\n".join(
                [
                    sysmon(cmd, "cmd /c dir"),
                    sysmon(cmd, "cmd /c whoami & echo 100%s"),
                    sysmon(cmd, "cmd /c dir", "Low"),
                    sysmon("C:\\Windows\\System32\\net.exe", "net user"),
                ]
            ),
        )
    ]
    assert told[0] == told[1]
    assert len(set(told)) == 3
    assert "Image=cmd.exe" in told[0] and "IntegrityLevel=High" in told[0] and "CommandLine=<*>" in told[0]


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/crontab"])
def test_an_audit_event_says_call_result_program_and_root(path: str) -> None:
    (row,) = rows(
        "audit",
        "type=SYSCALL msg=audit(1772438400.123:77): arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a1=0 "
        'a2=0 a3=0 items=1 ppid=1 pid=4242 auid=1000 uid=1000 comm="cat" exe="/usr/bin/cat" key="files"\n'
        f'type=PATH msg=audit(1772438400.123:77): item=0 name="{path}" nametype=NORMAL\n',
    )
    assert row.template == "openat fail EACCES exe=cat path=/etc/<*> key=files"


def test_ids_of_told_and_found_templates_stand_in_one_table_in_the_order_of_rows() -> None:
    builder = TableBuilder("h", "ep", 1000)
    cmd = "C:\\Windows\\System32\\cmd.exe"
    mixed = "\n".join([sysmon(cmd, "a"), "no event at all", sysmon(cmd, "b"), "no event at all"])
    builder.add("logs/sysmon.jsonl", spec_of("windows_json").rows([mixed.encode()], LogContext()))
    table = builder.finish(LogTruth()).sort_by("seq")
    ids, parsed = table["template_id"].to_pylist(), table["parsed"].to_pylist()
    assert parsed == [True, False, True, False]
    assert ids[0] == ids[2] != ids[1] == ids[3]
    assert "CommandLine=<*>" in builder.texts[ids[0]]


def test_long_values_of_hostile_logs_are_neither_said_nor_remembered() -> None:
    long = "C:\\Windows\\" + "x" * 100_000
    (row,) = rows("windows_json", sysmon(long, "a"))
    assert "Image=<*>" in row.template and len(row.template) < 1_000
    plan = plan_of("Microsoft-Windows-Sysmon", "1", True, json.loads(sysmon(long, "a")))
    assert all(len(text) < 10_000 for template in plan.templates for text in template)
    assert place("/etc/" + "x" * 100_000) == "/etc/<*>"
    names = " ".join(f"field{at}=1" for at in range(20_000))
    (audited,) = rows("audit", f"type=USER_CMD msg=audit(1772438400.123:77): pid=1 {names}\n"[:60_000])
    assert len(audited.template) <= len(audited.message) + 10_000
