"""Audit events and their rows: joining, order, loss, restarts, what a row says, and logs that are damaged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from typing import Any

import pytest

from rlstir_core.hostlogs.auditd import event as audit_event
from rlstir_core.hostlogs.auditd import parser as audit
from rlstir_core.hostlogs.schema import LogContext, LogRow

ENV = LogContext(name="audit.log", host="Web-1.lab.local", near_ns=1_700_000_000 * 10**9)
CALL = (
    "arch=c000003e syscall={} success=yes exit={} a0={} a1=0 a2=0 a3=0 items=2 ppid=10 pid=11 auid=1000 uid=0 gid=0 "
    'euid=0 tty=pts0 ses=3 comm="x" exe="/bin/x" key="k"'
)


def rows(log: str | bytes, context: LogContext = ENV, chunk: int = 1 << 20) -> list[LogRow]:
    raw = log if isinstance(log, bytes) else log.encode()
    return list(audit.rows((raw[at : at + chunk] for at in range(0, len(raw), chunk)), context))


def line(kind: str, body: str, serial: int = 1, at: float = 1_700_000_000.0, node: str = "") -> str:
    return f"{f'node={node} ' if node else ''}type={kind} msg=audit({at:.3f}:{serial}): {body}\n"


def call(number: int = 59, code: str = "0", a0: str = "1", **head: Any) -> str:
    return line("SYSCALL", CALL.format(number, code, a0), **head)


def fields(row: LogRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.fields_json)
    return found


def serials(found: Iterable[LogRow]) -> list[int]:
    return [fields(row)["serial"] for row in found]


EXECVE = (
    call(a0="7f") + line("EXECVE", 'argc=3 a0="ls" a1="-l" a2=2F746D702F6120622063')
    + line("CWD", 'cwd="/home/a"')
    + line("PATH", 'item=0 name="../b/ls" inode=5 dev=08:01 mode=0100755 ouid=0 ogid=0 nametype=NORMAL')
    + line("PATH", 'item=1 name="/lib64/ld.so" inode=6 dev=08:01 mode=0100755 ouid=0 ogid=0 nametype=NORMAL')
    + line("PROCTITLE", "proctitle=6C73002D6C")
)  # fmt: skip


def test_records_of_one_event_make_one_row_that_a_graph_can_be_made_of() -> None:
    (row,) = rows(EXECVE)
    assert (row.ts_ns, row.channel, row.event_id) == (1_700_000_000 * 10**9, "auditd", "SYSCALL")
    assert (row.host, row.host_said, row.pid, row.ppid, row.exe) == ("web-1", "Web-1.lab.local", 11, 10, "/bin/x")
    assert (row.cmdline, row.user, row.provider) == ("ls -l /tmp/a b c", "0", "auditd")
    assert row.message == "execve success comm=x exe=/bin/x path=/home/b/ls key=k"
    found = fields(row)
    assert (found["syscall"], found["result"], found["exit"], found["cwd"]) == ("execve", "success", "0", "/home/a")
    assert found["args"] == ["ls", "-l", "/tmp/a b c"]
    assert [path["path"] for path in found["paths"]] == ["/home/b/ls", "/lib64/ld.so"]
    assert [record["type"] for record in found["records"]] == [
        "SYSCALL", "EXECVE", "CWD", "PATH", "PATH", "PROCTITLE"
    ]  # fmt: skip
    assert found["records"][0]["fields"]["a0"] == "7f"


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_rows_do_not_depend_on_how_the_bytes_arrive(chunk: int) -> None:
    log = EXECVE + "junk\n" + EXECVE.replace(":1)", ":2)").replace("\n", "\r\n")
    assert rows(log, chunk=chunk) == rows(log)
    assert len(rows(log)) == 3


def test_an_open_a_connect_and_a_fork_say_what_they_touched() -> None:
    log = (
        call(257, "3", "ffffff9c", serial=1) + line("CWD", 'cwd="/srv"', 1)
        + line("PATH", 'item=0 name="/srv" inode=1 nametype=PARENT', 1)
        + line("PATH", 'item=1 name="x y" inode=2 nametype=CREATE'.replace('"x y"', "782079"), 1)
        + call(42, "-115", serial=2) + line("SOCKADDR", "saddr=020001BB0A0000010000000000000000", 2)
        + call(56, "4242", serial=3)
        + call(257, "3", "5", serial=4) + line("CWD", 'cwd="/srv"', 4)
        + line("PATH", 'item=0 name="rel" inode=2 nametype=NORMAL', 4)
    )  # fmt: skip
    opened, connected, forked, elsewhere = map(fields, rows(log))
    assert (opened["syscall"], opened["paths"][1]["path"]) == ("openat", "/srv/x y")
    assert (connected["syscall"], connected["exit"]) == ("connect", "EINPROGRESS")
    assert connected["sockaddr"] == {"family": "inet", "addr": "10.0.0.1", "port": 443}
    assert (forked["syscall"], forked["exit"]) == ("clone", "4242")
    assert elsewhere["paths"][0]["path"] == "rel"  # relative to a folder that the event does not name
    messages = [row.message for row in rows(log)]
    assert messages[0] == "openat success comm=x exe=/bin/x path=/srv/x y key=k"
    assert messages[1] == "connect success EINPROGRESS comm=x exe=/bin/x family=inet addr=10.0.0.1 port=443 key=k"


def test_a_users_event_names_its_type_and_who_asked() -> None:
    message = 'op=login acct=28696E76616C6964207573657229 exe="/usr/sbin/sshd" hostname=? addr=1.2.3.4 res=failed'
    (row,) = rows(
        f"type=USER_LOGIN msg=audit(1.000:7): pid=12 uid=0 auid=4294967295 ses=1 msg='{message}'\x1dUID=\"root\"\n"
    )
    assert (row.event_id, row.pid, row.exe, row.user) == ("USER_LOGIN", 12, "/usr/sbin/sshd", "root")
    assert row.message == "USER_LOGIN op=login acct=(invalid user) addr=1.2.3.4 res=failed exe=/usr/sbin/sshd"
    assert fields(row)["result"] == "fail"
    assert fields(row)["records"][0]["msg"]["acct"] == "(invalid user)"


def test_a_denial_is_an_event_of_its_own_type_with_its_system_call() -> None:
    log = line("AVC", 'avc:  denied  { read write } for  pid=5 comm="x" name="y" tclass=dir') + call()
    (row,) = rows(log)
    assert row.event_id == "AVC"
    assert row.message.startswith("AVC avc: denied { read write } for name=y tclass=dir execve success")
    assert (row.pid, fields(row)["syscall"]) == (11, "execve")


def test_a_sudo_command_is_a_command_line() -> None:
    (row,) = rows(line("USER_CMD", "pid=1 uid=1000 msg='cwd=\"/\" cmd=6C73202D6C terminal=pts/0 res=success'"))
    assert row.cmdline == "ls -l"


def test_a_long_argument_comes_back_from_its_parts() -> None:
    word = "é" * 10
    encoded = word.encode().hex().upper()
    log = (
        call() + line("EXECVE", f'argc=3 a0="sh" a1_len={len(encoded)} a1[0]={encoded[:14]}')
        + line("EXECVE", f'a1[1]={encoded[14:]} a2_len=3 a2[0]="abc"')
    )  # fmt: skip
    (row,) = rows(log)
    assert fields(row)["args"] == ["sh", word, "abc"]
    assert fields(row)["records"][1]["fields"]["a1[0]"] == encoded[:14]


def test_interleaved_events_come_in_the_order_in_which_they_began() -> None:
    log = call(serial=1) + call(serial=2) + line("CWD", 'cwd="/1"', 1) + call(serial=3) + line("CWD", 'cwd="/2"', 2)
    found = [fields(row) for row in rows(log)]
    assert [(event["serial"], event.get("cwd")) for event in found] == [(1, "/1"), (2, "/2"), (3, None)]


def test_the_same_serial_of_another_node_or_time_is_another_event() -> None:
    log = call(node="a") + call(node="b") + call(at=1_700_000_001.0) + line("CWD", 'cwd="/a"', node="a")
    found = rows(log)
    assert [(row.host, fields(row).get("cwd")) for row in found] == [("a", "/a"), ("b", None), ("web-1", None)]


def test_an_end_record_ends_an_event_at_once() -> None:
    given = iter([call().encode(), line("EOE", "").encode(), b""])
    assert fields(next(audit.rows(given, ENV)))["serial"] == 1
    assert next(given) == b""


def test_a_shuffled_second_gives_the_same_events() -> None:
    rng = random.Random(5)
    lines = [text for n in range(40) for text in (call(serial=n + 1), line("CWD", f'cwd="/{n}"', n + 1))]
    rng.shuffle(lines)
    found = [fields(row) for row in rows("".join(lines))]
    assert sorted((event["serial"], event["cwd"]) for event in found) == [(n + 1, f"/{n}") for n in range(40)]
    assert sum(event.get("missing", 0) for event in found) == 0


def test_a_record_that_comes_too_late_is_a_further_part() -> None:
    log = call(serial=1) + "".join(call(serial=n, at=1_700_000_010.0 + n) for n in range(2, 9))
    found = rows(log + line("CWD", 'cwd="/late"', 1))
    late = [fields(row) for row in found if fields(row)["serial"] == 1]
    assert [event.get("part", 0) for event in late] == [0, 1]
    assert late[1]["cwd"] == "/late"
    assert sum(fields(row).get("missing", 0) for row in found) == 0


def test_missing_serials_are_counted_across_a_roll_over_but_not_a_restart() -> None:
    steps = [(4294967290, 0, False), (4294967295, 4, False), (2, 2, False), (3, 0, False)]
    log = "".join(call(serial=serial, at=1_700_000_000.0 + n) for n, (serial, _, _) in enumerate(steps))
    steps.append((900_000_000, 0, True))
    log += call(serial=900_000_000, at=1_700_000_300.0)
    steps.append((1, 0, True))
    log += call(serial=1, at=1_700_000_600.0)
    found = [fields(row) for row in rows(log)]
    assert [(e["serial"], e.get("missing", 0), e.get("restarted", False)) for e in found] == steps


def test_rotated_files_in_the_wrong_order_are_a_restart_not_a_loss() -> None:
    log = "".join(call(serial=serial, at=1_700_000_000.0 + serial) for serial in (500, 501, 300, 301, 303))
    found = [fields(row) for row in rows(log)]
    assert [event.get("restarted", False) for event in found] == [False, False, True, False, False]
    assert [event.get("missing", 0) for event in found] == [0, 0, 0, 0, 1]


def test_the_daemon_counts_its_own_events() -> None:
    log = call(serial=1) + line("DAEMON_START", "auditd start", 7798) + call(serial=2)
    found = [fields(row) for row in rows(log)]
    assert serials(rows(log)) == [1, 7798, 2]
    assert not any("missing" in event or "restarted" in event for event in found)


def test_memory_stays_bounded_whatever_waits() -> None:
    log = (call(serial=n) for n in range(100_000))
    given = (text.encode() for text in log)
    found = audit.rows(given, ENV)
    for _ in range(1000):
        next(found)
    assert 100_000 - sum(1 for _ in log) <= 1000 + audit_event.MAX_WAITING + 2


def test_an_event_with_endless_records_is_cut_into_parts() -> None:
    n = audit_event.MAX_RECORDS
    found = rows(call() + line("PATH", 'item=0 name="/x" nametype=NORMAL') * (2 * n))
    assert [fields(row).get("part", 0) for row in found] == list(range(len(found)))
    assert sum(len(fields(row)["records"]) for row in found) == 2 * n + 1


def test_a_line_that_is_no_record_is_a_row_and_the_time_is_that_of_the_row_before() -> None:
    found = rows(b"rubbish \x00\xff\n" + call(at=1_700_000_005.0).encode() + b"\ntype=X msg=?\n")
    bad = [row for row in found if not row.parsed]
    assert [row.ts_ns for row in bad] == [ENV.near_ns, 1_700_000_005 * 10**9]
    assert bad[0].message == "rubbish \\x00\\xff"
    assert fields(bad[0])["raw"] == "rubbish \x00\\xff"
    assert (bad[0].channel, bad[0].host) == ("auditd", "web-1")


def test_what_ausearch_prints_around_records_is_no_row() -> None:
    assert len(rows("----\ntime->Mon Feb  6 13:26:53 2023\n" + call() + "\n<no matches>\n")) == 1


def test_a_line_of_ten_megabytes_is_one_row_that_is_not_parsed() -> None:
    found = rows(call(serial=1).encode() + b"type=PATH msg=audit(1.000:1): name=" + b"41" * (5 << 20) + b"\n")
    assert [row.parsed for row in found] == [False, True]
    assert len(found[0].message) < 5000
    assert fields(found[0])["why"] == "the line is too long"


def test_a_newline_in_a_value_starts_no_record_but_in_the_file_it_does() -> None:
    evil = "x\ntype=USER_LOGIN msg=audit(1700000000.000:9): pid=1 uid=0 msg='op=login res=success'"
    (row,) = rows(line("SYSCALL", f"arch=c000003e syscall=59 pid=5 comm={evil.encode().hex().upper()}"))
    assert (row.event_id, row.pid) == ("SYSCALL", 5)
    assert "\n" not in row.message
    assert fields(row)["comm"] == evil


def test_random_bytes_never_raise() -> None:
    rng = random.Random(11)
    base = EXECVE.encode() * 3
    for _ in range(150):
        raw = bytearray(base)
        for _ in range(40):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        for row in rows(bytes(raw)):
            json.loads(row.fields_json)
            row.message.encode()
