"""Audit records that syslog carries become audit events, in their place among the other lines."""

from __future__ import annotations

import json

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.syslog import parser as syslog
from rlstir_core.hostlogs.syslog.audit_lines import MAX_WAITING
from rlstir_core.lab.tamper.formats.syslog_form import SyslogForm

NEAR = 1_714_557_600 * 10**9


def call(serial: int, pid: int = 771, at: str = "1714557600.121") -> str:
    head = f"type=SYSCALL msg=audit({at}:{serial}): arch=c000003e syscall=59 success=yes exit=0"
    return f'{head} ppid=1 pid={pid} uid=0 comm="id" exe="/usr/bin/id" key="exec"'


def execve(serial: int, at: str = "1714557600.121") -> str:
    return f'type=EXECVE msg=audit({at}:{serial}): argc=2 a0="id" a1="-u"'


def line(message: str, program: str = "audispd", second: int = 1, host: str = "web1") -> str:
    return f"May  1 10:00:{second:02d} {host} {program}: {message}\n"


def rows(log: str) -> list[LogRow]:
    return list(syslog.rows([log.encode()], LogContext(host="here", near_ns=NEAR)))


def test_the_records_of_a_serial_are_one_event_in_the_place_of_the_first() -> None:
    log = line("before", "cron[1]") + line(call(101)) + line("between", "sshd[7]") + line(execve(101)) + line("x", "su")
    found = rows(log)
    assert [(row.channel, row.provider) for row in found] == [
        ("auth", "cron"), ("auditd", "auditd"), ("auth", "sshd"), ("auth", "su")
    ]  # fmt: skip
    event = found[1]
    assert (event.pid, event.ppid, event.exe, event.cmdline, event.user) == (771, 1, "/usr/bin/id", "id -u", "0")
    assert (event.ts_ns, event.assumed, event.host) == (NEAR + 121_000_000, "", "web1")
    said = json.loads(event.fields_json)
    assert len(said["records"]) == 2 and said["syslog"] == {"program": "audispd", "time": "May  1 10:00:01"}


def test_every_program_that_passes_records_on_is_known_and_no_other() -> None:
    cases = {
        "audispd": f"node=web9 {call(1)}",
        "audisp-syslog[9]": call(1),
        "tag_audit_log": call(1),
        "kernel": f"[   12.300000] audit: {call(1).replace('msg=', '').replace('SYSCALL', '1300')}",
        "auditd[3]": f"{call(1)}#035ARCH=x86_64 SYSCALL=execve UID=root",
    }
    for program, message in cases.items():
        (row,) = rows(line(message, program))
        host = "web9" if "node=web9" in message else "web1"  # that of the line may collect for many
        assert (row.channel, row.pid, row.exe, row.host) == ("auditd", 771, "/usr/bin/id", host), program
    assert rows(line(cases["auditd[3]"], "auditd[3]"))[0].user == "root"
    for program, message in (("logger", call(1)), ("audispd", "plugin started"), ("kernel", "type= audit(1:1)")):
        (row,) = rows(line(message, program))
        assert (row.channel, row.pid) == ("auth", -1)


def test_two_hosts_with_the_same_serial_are_two_events() -> None:
    found = rows(line(call(5)) + line(call(5, pid=9), host="db1"))
    assert [(row.host, row.pid) for row in found] == [("web1", 771), ("db1", 9)]


def test_lines_behind_an_event_that_never_ends_do_not_wait_for_ever_and_keep_their_order() -> None:
    log = line(call(1)) + "".join(line(f"n{k}", "cron[1]") for k in range(3 * MAX_WAITING)) + line(execve(1))
    context = LogContext(host="here", near_ns=NEAR)
    chunks = iter(log.encode().splitlines(keepends=True))
    first = next(syslog.rows(chunks, context))
    assert first.channel == "auditd" and len(list(chunks)) > MAX_WAITING
    found = rows(log)
    assert [row.message for row in found if row.channel == "auth"] == [f"n{k}" for k in range(3 * MAX_WAITING)]
    assert [json.loads(row.fields_json).get("part") for row in found if row.channel == "auditd"] == [None, 1]


def test_an_end_of_event_that_came_late_and_a_record_that_cannot_be_stay_lines() -> None:
    end = "type=EOE msg=audit(1714557600.121:1): "
    assert [row.channel for row in rows(line(end) + line(call(1)) + line(end))] == ["auth", "auditd"]
    (row,) = rows(line("type=SYSCALL msg=audit(1714557600.121:99999999999): pid=1"))
    assert (row.channel, row.pid) == ("auth", -1)


def test_every_line_of_a_tampered_log_is_a_records_own() -> None:
    log = line("a", "cron[1]") + line(call(1)) + line("b", "sshd[7]") + line(execve(1)) + line("c", "su") + "  more\n"
    split = SyslogForm().split(log.encode(), NEAR)
    assert split.owner == [0, 1, 2, 1, 3, 3]
    assert [entry.fixed for entry in split.entries] == [False, True, False, False]
