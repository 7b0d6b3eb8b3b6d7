"""Syslog as daemons and devices spell it: times, hosts, facilities and tags in their places; and what is no syslog."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rlstir_core.hostlogs.opening.recognise import recognise
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.syslog import parser as syslog
from rlstir_core.hostlogs.times.reading import LogReading

SSH = "Failed password for root from 192.0.2.9 port 50001 ssh2"
AT = datetime(2024, 5, 1, 10, 0, 1, tzinfo=UTC)


def read(log: str, reading: LogReading | None = None) -> list[LogRow]:
    context = LogContext(host="here", near_ns=int(AT.timestamp()) * 10**9, reading=reading or LogReading())
    return list(syslog.rows([log.encode()], context))


def one(line: str) -> tuple[LogRow, dict[str, Any]]:
    assert recognise(f"{line}\n{line}\n".encode()).log == "syslog"  # what is read is what is recognised
    (row,) = read(line)
    assert row.parsed and row.timed
    return row, json.loads(row.fields_json)


@pytest.mark.parametrize(
    ("time", "utc", "assumed"),
    [
        ("May  1 10:00:01", "10:00:01", "zone"),
        ("May 1 10:00:01", "10:00:01", "zone"),
        ("May 01 10:00:01.5", "10:00:01.500", "zone"),
        ("Mai  1 10:00:01", "10:00:01", "zone"),
        ("May  1 2024 10:00:01", "10:00:01", "zone"),
        ("May  1 10:00:01 2024", "10:00:01", "zone"),
        ("2024 May  1 10:00:01.5", "10:00:01.500", "zone"),
        ("Wed May  1 10:00:01.123 2024", "10:00:01.123", "zone"),
        ("May  1 10:00:01 CEST", "08:00:01", ""),
        ("May  1 10:00:01 UTC", "10:00:01", ""),
        ("May  1 10:00:01 CST", "10:00:01", "zone"),  # Chicago or Shanghai
        ("*May  1 10:00:01.123", "10:00:01.123", "zone"),
        ("2024-05-01T10:00:01", "10:00:01", "zone"),
        ("2024-05-01 10:00:01", "10:00:01", "zone"),
        ("2024/05/01 10:00:01", "10:00:01", "zone"),
        ("2024-05-01 10:00:01,123", "10:00:01.123", "zone"),
        ("2024-05-01 10:00:01-08", "18:00:01", ""),
        ("2024-05-01 10:00:01 +0200", "08:00:01", ""),
        ("2024-05-01T10:00:01.123456+0200", "08:00:01.123", ""),
        ("2024-05-01T10:00:01Z", "10:00:01", ""),
        ("Wed 2024-05-01 10:00:01 CEST", "08:00:01", ""),
    ],
)
def test_times_in_every_spelling_are_read_and_say_whether_their_zone_is_assumed(
    time: str, utc: str, assumed: str
) -> None:
    row, said = one(f"{time} web1 sshd[7]: {SSH}")
    found = datetime.fromtimestamp(row.ts_ns / 10**9, UTC).isoformat(timespec="milliseconds")[:23]
    assert found.removesuffix(".000") == f"2024-05-01T{utc}"
    assert (row.assumed, row.host, row.provider, row.pid, row.user) == (assumed, "web1", "sshd", 7, "root")
    assert said["src_ip"] == "192.0.2.9" and said["time"] == time.lstrip("*").removeprefix("Wed ")


@pytest.mark.parametrize(
    ("head", "host", "facility", "severity"),
    [
        ("May  1 10:00:01 <auth.info> bsd1", "bsd1", "auth", "info"),
        ("May  1 10:00:01 <4.6> bsd1", "bsd1", "auth", "info"),
        ("May  1 10:00:01 <security.err> bsd1", "bsd1", "audit", "err"),
        ("May  1 10:00:01 aix1 auth|security:crit", "aix1", "auth", "crit"),
        ("May  1 10:00:01 router authpriv.warn", "router", "authpriv", "warning"),
        ("May  1 10:00:01 authpriv.info", "here", "authpriv", "info"),
        ("Wed May  1 10:00:01 2024 authpriv.info", "here", "authpriv", "info"),
        ("2024-05-01T10:00:01.123456-07:00 INFO", "here", None, "info"),
        ("2024-05-01T10:00:01.123Z In(38)", "here", None, "info"),
        ("<38>May  1 10:00:01  web1", "web1", "auth", "info"),
        ("<38>May  1 10:00:01 INFO", "here", "auth", "info"),
        ("May  1 10:00:01", "here", None, None),
        ("May  1 10:00:01 Message forwarded from aix1:", "aix1", None, None),
        ("May  1 10:00:01 [192.0.2.1]", "192.0.2.1", None, None),
        ("May  1 10:00:01 fe80::1", "fe80::1", None, None),
        ("May  1 10:00:01 Web1.Lab.example.", "web1", None, None),
        ("2024-05-01 10:00:01 -", "here", None, None),
        ("May  1 10:00:01 ---", "here", None, None),
        ("May  1 10:00:01 bigip1 notice", "bigip1", None, "notice"),
        ("May  1 10:00:01 s_net@web1", "web1", None, None),
        ("May  1 10:00:01 web1.lab/relay", "web1", None, None),
    ],
)
def test_a_host_is_a_hosts_name_and_levels_and_facilities_go_where_they_belong(
    head: str, host: str, facility: str | None, severity: str | None
) -> None:
    row, said = one(f"{head} sshd[7]: {SSH}")
    assert (row.host, row.provider, row.pid, row.user) == (host, "sshd", 7, "root")
    assert (said.get("facility"), said.get("severity")) == (facility, severity)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (f"May  1 10:00:01 sol1 sshd[7]: [ID 800047 auth.info] {SSH}",
         {"facility": "auth", "severity": "info", "msgid": "800047", "src_ip": "192.0.2.9"}),
        (f"May  1 10:00:01 relay Message forwarded from aix1: sshd[7]: {SSH}", {"relay": "relay"}),
        ("May  1 10:00:01 web1 last message repeated 3 times", {"repeated": 3}),
        ("May  1 10:00:01 hp1 above message repeats 3 times", {"repeated": 3}),
        ("May  1 10:00:01 --- last message repeated 1 time ---", {"repeated": 1}),
        ("May  1 10:00:01 router kern.warn kernel: [   12.300000] x", {"uptime": "12.300000", "severity": "warning"}),
        ("May 01 2024 10:00:01: %ASA-6-302013: Built", {"msgid": "ASA-6-302013", "severity": "info"}),
        ("<166>May 01 2024 10:00:01 fw1 : %ASA-6-302013: Built", {"msgid": "ASA-6-302013", "facility": "local4"}),
        ("*Mar  1 00:00:01.234 UTC: %SYS-5-CONFIG_I: x", {"msgid": "SYS-5-CONFIG_I", "severity": "notice"}),
        ("<189>123: sw1: *Mar  1 00:00:01.234 UTC: %LINK-3-UPDOWN: x", {"msgid": "LINK-3-UPDOWN"}),
        ("May  1 10:00:01 sw1 56: *May  1 10:00:00.999: %SEC_LOGIN-5-LOGIN: x", {"msgid": "SEC_LOGIN-5-LOGIN"}),
        ("May  1 10:00:01 sw1 56: 1w2d: %SYS-5-CONFIG_I: x", {"msgid": "SYS-5-CONFIG_I"}),
        ("May  1 10:00:01 mac com.apple.xpc.launchd[1] (com.apple.x[23]): Service exited", {}),
        ("May  1 10:00:01 web1 -- MARK --", {}),
        ("May  1 10:00:01 fw1 CEF:0|Vendor|Product|1|100|name|5|", {}),
        ("<14>2024-05-01 10:00:01 web1 words without a tag", {"facility": "user"}),
        ("2024-05-01 10:00:01 nas1 sudo: ops : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh", {"as_user": "root"}),
        ('1 2024-05-01T10:00:01Z web1 app 812 ID1 [a@1 x="1"] m', {"data": {"a@1": {"x": "1"}}}),
        (f"2024-05-01T10:00:01.1+02:00 web1 sshd 7 - - {SSH}", {"user": "root"}),
        ("123 <34>1 2003-10-11T22:14:15.003Z h su - ID47 - x", {"severity": "crit"}),
        ("May  1 10:00:01 web1 sshd[12", {}),  # torn
    ],
)  # fmt: skip
def test_what_stands_before_the_message_is_read(line: str, wanted: dict[str, Any]) -> None:
    _, said = one(line)
    assert {key: said.get(key) for key in wanted} == wanted


def test_a_new_line_whose_writer_left_the_version_out_has_its_parts() -> None:
    row, said = one(f"<38>2024-05-01T10:00:01Z web1 sshd 7 - - {SSH}")
    assert (row.host, row.provider, row.pid, row.user, said["facility"]) == ("web1", "sshd", 7, "root", "auth")


def test_devices_name_their_part_and_their_host() -> None:
    row, _ = one("May  1 10:00:01 sw1 56: 1w2d: %SYS-5-CONFIG_I: Configured")
    assert (row.host, row.provider, row.message) == ("sw1", "SYS", "Configured")
    row, _ = one("<189>123: sw1: May  1 10:00:01.234 UTC: %LINK-3-UPDOWN: x")
    assert (row.host, row.assumed) == ("sw1", "")


def test_a_nul_behind_every_message_hides_nothing() -> None:
    rows = read(f"<38>May  1 10:00:01 web1 sshd[1]: {SSH}\0<38>May  1 10:00:02 web1 sshd[2]: {SSH}\0\n")
    assert [(row.pid, row.user, json.loads(row.fields_json)["src_ip"]) for row in rows] == [
        (1, "root", "192.0.2.9"), (2, "root", "192.0.2.9")
    ]  # fmt: skip
    torn = read(f"May  1 10:00:01 web1 sshd[1]: {SSH}\n" + "\0" * 200 + f"b1 sshd[1]: {SSH}\n")
    assert [(row.parsed, row.host) for row in torn] == [(True, "web1"), (False, "here")]


@pytest.mark.parametrize("end", ["#000", "#012", "#015#012"])
def test_a_line_end_that_rsyslog_wrote_out_hides_nothing(end: str) -> None:
    row, said = one(f"May  1 10:00:01 web1 sshd[7]: {SSH}{end}")
    assert (row.user, row.message, said["raw"]) == ("root", SSH, SSH + end)


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_messages_that_are_counted_and_not_ended_are_rows_of_their_own(size: int) -> None:
    head = "<38>1 2024-05-01T10:00:01Z web1 sshd"
    said = [f"{head} 1 - - {SSH}", f"{head} 2 - - ü first\n\nlast", f"<38>May  1 10:00:02 web1 sshd[3]: {SSH}"]
    counted = [f"{len(each.encode())} {each}".encode() for each in said]
    wanted = [(1, SSH), (2, "ü first  last"), (3, SSH)]
    for log in (b"".join(counted), b"\n".join(counted), b"3 <38>1 -\n" + b"".join(counted)):
        chunks = [log[at : at + size] for at in range(0, len(log), size)]
        found = [row for row in syslog.rows(chunks, LogContext()) if row.pid > 0]
        assert [(row.pid, row.message) for row in found] == wanted
        assert found[0].user == found[2].user == "root"


def test_a_file_may_begin_with_the_end_of_something() -> None:
    trace = "  File a.py\n\tat b.c(D.java)\nTraceback:\n" * 5
    log = trace + f"May  1 10:00:01 web1 app[1]: x\n\tat b.c(D.java)\nMay  1 10:00:02 web1 sshd[7]: {SSH}\n"
    assert recognise(log.encode()).log == "syslog"
    assert [row.message for row in read(log) if row.parsed] == ["x at b.c(D.java)", SSH]


def test_a_host_that_was_seen_with_its_program_may_write_without_one() -> None:
    words = "2024-05-01 10:00:02 nas1 Volume 1 is degraded"
    assert [row.parsed for row in read(f"{words}\n2024-05-01 10:00:01 nas1 sshd[7]: {SSH}\n{words}\n")] == [
        False, True, True
    ]  # fmt: skip


def test_a_time_that_cannot_be_is_named() -> None:
    for line, why in (
        ("2024-05-01T25:00:01 web1 sshd[7]: x", "a time that does not exist"),
        ("May  1 24:00:01 web1 sshd[7]: x", "no syslog header"),
        ("2024-05-01T10:00:01+99:00 web1 sshd[7]: x", "a time that does not exist"),
        ("2024-05-01 10:00:01 +2300 web1 sshd[7]: x", "a zone that does not exist"),
        ("<1>1 2024-13-01T10:00:01Z web1 sshd 7 - - x", "a time that does not exist"),
        ("May  1 10:00:01 ", "nothing behind the time"),
    ):
        (row,) = read(line)
        assert not row.parsed and not row.timed and json.loads(row.fields_json)["why"] == why
    (row,) = read("<34>1 - web1 su - - - x")
    assert row.parsed and not row.timed and row.ts_ns == int(AT.timestamp()) * 10**9


def test_zones_of_hosts_make_utc_of_local_times() -> None:
    reading = LogReading(zone="+01:00", zones={"web1": "Europe/Berlin"})
    log = f"May  1 10:00:01 web1 sshd[7]: {SSH}\nMay  1 10:00:01 db1 sshd[7]: x\n2024-05-01T10:00:01Z db1 sshd[7]: x\n"
    rows = read(log, reading)
    assert [datetime.fromtimestamp(row.ts_ns / 10**9, UTC).hour for row in rows] == [8, 9, 10]
    assert {row.assumed for row in rows} == {""}


@pytest.mark.parametrize(
    "line",
    [
        "2022-09-12T17:53:10+0000 DDEBUG timer: config: 259 ms",
        "2022-09-12T17:53:10+0000 INFO Dependencies resolved.",
        "2022-09-12T17:53:10+0000 INFO --- logging initialized ---",
        "May 01 10:00:01 Installed: kernel-2.6.32.x86_64",
        "[2024-05-01T10:00:01+0200] [ALPM] installed x (1.0-1)",
        "Start-Date: 2024-05-01  10:00:01",
        "2024-05-01 10:00:01 status installed libc6:amd64 2.36",
        "2024-05-01 10:00:01,123 INFO [main] org.foo.Bar: message",
        "2024-05-01 10:00:01,123 [main] INFO  org.foo.Bar - message: x",
        "2024-05-01 10:00:01,123 - name - INFO - message: x",
        "2024-05-01 10:00:01,123 WARNING foo: message",
        "2024-05-01 10:00:01.123  INFO 1234 --- [  main] o.s.Foo : x",
        "2024-05-01 10:00:01,123 - util.py[DEBUG]: Cloud-init v. 23",
        "2024-05-01 10:00:01,123 fail2ban.filter         [1234]: INFO    [sshd] Found 192.0.2.4",
        "2017-05-16 00:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-1] x",
        "2024/05/01 10:00:01 [error] 123#0: *1 open() failed",
        "2024/05/01 10:00:01 http: TLS handshake error from 192.0.2.4:5: EOF",
        "2024-05-01 10:00:01.123 UTC [1234] LOG:  database system is ready",
        "2024-05-01 10:00:01 UTC LOG:  database system is ready",
        "2024-05-01T10:00:01.123456Z 0 [Note] mysqld: ready",
        "2024-05-01T10:00:01.123456789Z stderr F error: x",
        "2024-05-01T10:00:01.000Z INFO worker: started",
        "2024-05-01T10:00:01Z info: starting up now",
        "2024-05-01 10:00:01 Server error: boom",
        "2024-05-01 10:00:01 Starting cron: ok",
        'time="2024-05-01T10:00:01Z" level=info msg="x"',
        "I0501 10:00:01.123456    1 server.go:12] x",
        "Wed May  1 10:00:01 2024 TCP/UDP: Incoming packet",
        "Wed May  1 10:00:01 2024 Data Channel: cipher AES",
        "Wed May  1 10:00:01 2024 192.0.2.4:1194 TLS: Initial packet",
        '192.0.2.4 - - [01/May/2024:10:00:01 +0000] "GET / HTTP/1.1" 200 5',
    ],
)
def test_other_programs_logs_are_none_of_syslogs(line: str) -> None:
    assert recognise(f"{line}\n{line}\n".encode()).log is None
    assert not read(line)[0].parsed
