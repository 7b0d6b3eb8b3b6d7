"""Syslog text: headers old and new, years that nobody wrote, what programs say, and lines that imitate others."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.syslog import parser as syslog

SSH = Path(__file__).parents[4] / "shared" / "real" / "loghub" / "OpenSSH"
IZYSEC = Path(__file__).parents[4] / "shared" / "real" / "linux_audit_izysec"


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def rows(log: str | bytes, near: str | None = None, chunk: int = 1 << 20) -> list[LogRow]:
    raw = log if isinstance(log, bytes) else log.encode()
    context = LogContext(host="Here.lab", near_ns=ns(near) if near else None)
    return list(syslog.rows((raw[at : at + chunk] for at in range(0, len(raw), chunk)), context))


def one(log: str | bytes, near: str | None = "2023-08-13") -> LogRow:
    (row,) = rows(log, near)
    return row


def fields(row: LogRow) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.fields_json)
    return found


def sshd(message: str, program: str = "sshd[33197]") -> LogRow:
    return one(f"Aug 13 07:36:32 Ubuntu.lab {program}: {message}")


def test_an_old_line_gives_host_program_pid_and_message() -> None:
    row = sshd("Failed password for izy from 192.168.226.1 port 57018 ssh2")
    assert row.ts_ns == ns("2023-08-13T07:36:32")
    assert (row.channel, row.host, row.host_said, row.provider, row.pid) == (
        "auth",
        "ubuntu",
        "Ubuntu.lab",
        "sshd",
        33197,
    )
    assert (row.user, row.message) == ("izy", "Failed password for izy from 192.168.226.1 port 57018 ssh2")
    assert fields(row) == {
        "time": "Aug 13 07:36:32", "method": "password", "user": "izy", "src_ip": "192.168.226.1", "src_port": "57018"
    }  # fmt: skip


def test_a_priority_is_facility_and_severity() -> None:
    row = one("<86>Aug  3 07:36:32 ubuntu CRON[1]: pam_unix(cron:session): session opened for user root by (uid=0)")
    assert (fields(row)["facility"], fields(row)["severity"]) == ("authpriv", "info")
    assert (row.user, row.provider, row.ts_ns) == ("root", "CRON", ns("2023-08-03T07:36:32"))
    assert fields(one("<999>Aug  3 07:36:32 h p: x"))["facility"] == "124"


@pytest.mark.parametrize(
    ("near", "stamp", "wanted"),
    [
        ("2023-12-31T23:00:00", "Jan  1 00:00:10", "2024-01-01T00:00:10"),
        ("2024-01-01T01:00:00", "Dec 31 23:59:59", "2023-12-31T23:59:59"),
        ("2023-07-02T12:00:00", "Jan  1 00:00:00", "2023-01-01T00:00:00"),
        ("2023-07-02T12:00:00", "Dec 31 00:00:00", "2023-12-31T00:00:00"),
        ("2023-06-01T00:00:00", "Feb 29 10:00:00", "2024-02-29T10:00:00"),
        ("2021-06-01T00:00:00", "Feb 29 10:00:00", "2020-02-29T10:00:00"),
        ("2024-01-01T12:00:00", "Jul  2 13:00:00", "2023-07-02T13:00:00"),
        ("2024-01-01T12:00:00", "Jul  2 11:00:00", "2024-07-02T11:00:00"),
        ("2024-01-01T12:00:00", "Jul  1 00:00:00", "2024-07-01T00:00:00"),
        ("2023-08-13T00:00:00", "Aug 13 2019 10:00:00", "2019-08-13T10:00:00"),
    ],
)
def test_a_line_without_a_year_lies_nearest_to_the_episode(near: str, stamp: str, wanted: str) -> None:
    assert one(f"{stamp} host prog: x", near).ts_ns == ns(wanted)


def test_a_file_across_new_year_stays_in_order_with_and_without_an_episode() -> None:
    log = "Dec 31 23:59:58 h p: a\nDec 31 23:59:59 h p: b\nJan  1 00:00:01 h p: c\nFeb 28 00:00:00 h p: d\n"
    near = rows(log, "2023-01-01")
    assert [row.ts_ns for row in near] == [
        ns("2022-12-31T23:59:58"), ns("2022-12-31T23:59:59"), ns("2023-01-01T00:00:01"), ns("2023-02-28T00:00:00")
    ]  # fmt: skip
    assumed = rows(log)
    assert [row.ts_ns for row in assumed[1:3]] == [ns("2024-12-31T23:59:59"), ns("2025-01-01T00:00:01")]
    assert fields(assumed[0])["year"] == "assumed"
    assert "year" not in fields(near[0])


def test_without_an_episode_the_first_line_lies_in_2024_and_a_line_with_a_year_moves_the_rest() -> None:
    log = "Feb 29 10:00:00 h p: a\n2019-05-01T00:00:00Z h p: b\nMay  2 00:00:00 h p: c\n"
    assert [row.ts_ns for row in rows(log)] == [ns("2024-02-29T10:00:00"), ns("2019-05-01"), ns("2019-05-02")]


@pytest.mark.parametrize("stamp", ["Feb 30 10:00:00", "Foo 10 10:00:00", "Apr 31 10:00:00", "Jan 00 10:00:00"])
def test_a_date_that_does_not_exist_is_a_row_that_is_not_parsed(stamp: str) -> None:
    row = one(f"{stamp} host prog: x")
    assert (row.parsed, row.ts_ns) == (False, ns("2023-08-13"))


@pytest.mark.parametrize(
    ("stamp", "wanted_ns"),
    [
        ("2024-05-01T12:00:00.123456+02:00", ns("2024-05-01T10:00:00") + 123_456_000),
        ("2024-05-01T12:00:00Z", ns("2024-05-01T12:00:00")), ("2024-05-01 12:00:00,", None),
        ("2024-05-01 12:00:00.5", ns("2024-05-01T12:00:00") + 500_000_000),
        ("2024-05-01T12:00:00.123456789Z", ns("2024-05-01T12:00:00") + 123_456_789),
        ("2024-05-01T12:00:00-0530", ns("2024-05-01T17:30:00")),
        ("2016-12-31T23:59:60Z", ns("2017-01-01T00:00:00")),
        ("9999-01-01T00:00:00Z", None), ("2024-13-01T00:00:00Z", None), ("0001-01-01T00:00:00Z", None),
    ],
)  # fmt: skip
def test_iso_times_are_read_to_the_nanosecond(stamp: str, wanted_ns: int | None) -> None:
    row = one(f"{stamp} host prog[7]: msg")
    assert row.parsed == (wanted_ns is not None)
    if row.parsed:
        assert (row.ts_ns, row.provider, row.pid, row.message) == (wanted_ns, "prog", 7, "msg")


def test_rfc_5424_keeps_its_structured_data() -> None:
    row = one(
        '<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog 812 ID47 [a@1 x="1" y="q\\"]\\\\"][b@1 z=""] '
        "\ufeffAn application event"
    )
    assert (row.host, row.provider, row.pid, row.event_id) == ("mymachine", "evntslog", 812, "ID47")
    assert row.message == "An application event"
    assert fields(row)["data"] == {"a@1": {"x": "1", "y": 'q"]\\'}, "b@1": {"z": ""}}
    assert (fields(row)["facility"], fields(row)["severity"]) == ("local4", "notice")
    bare = one("<34>1 - - su - - - 'su root' failed")
    assert (bare.ts_ns, bare.host, bare.provider, bare.message) == (ns("2023-08-13"), "here", "su", "'su root' failed")


@pytest.mark.parametrize(
    ("program", "message", "wanted"),
    [
        ("sshd[1]", "Accepted publickey for bob from 10.0.0.5 port 22 ssh2: RSA SHA256:x",
         {"user": "bob", "method": "publickey", "src_ip": "10.0.0.5", "src_port": "22"}),
        ("sshd-session[1]", "Failed password for invalid user a b from ::1 port 2 ssh2",
         {"user": "a b", "src_ip": "::1"}),
        ("sshd[1]", "Failed none for invalid user root from 6.6.6.6 port 1 ssh2 from 1.2.3.4 port 9 ssh2",
         {"user": "root from 6.6.6.6 port 1 ssh2", "src_ip": "1.2.3.4", "src_port": "9"}),
        ("sshd[1]", "Invalid user  from 1.2.3.4", {"src_ip": "1.2.3.4"}),
        ("sshd[1]", "Invalid user pi from 1.2.3.4 port 77", {"user": "pi", "src_ip": "1.2.3.4", "src_port": "77"}),
        ("sshd[1]", "Disconnected from authenticating user root 1.2.3.4 port 9 [preauth]",
         {"user": "root", "src_ip": "1.2.3.4"}),
        ("sshd[1]", "Connection closed by invalid user x 1.2.3.4 port 9 [preauth]", {"user": "x", "src_ip": "1.2.3.4"}),
        ("sshd[1]", "Connection closed by 1.2.3.4 [preauth]", {"src_ip": "1.2.3.4"}),
        ("sshd[1]", "error: maximum authentication attempts exceeded for root from 1.2.3.4 port 9 ssh2 [preauth]",
         {"user": "root", "src_ip": "1.2.3.4"}),
        ("sshd[1]", "PAM 2 more authentication failures; logname= uid=0 euid=0 tty=ssh ruser= rhost=1.2.3.4  user=root",
         {"user": "root", "src_ip": "1.2.3.4"}),
        ("sshd[1]", "pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=1.2.3.4 ",
         {"service": "sshd", "src_ip": "1.2.3.4"}),
        ("compiz", "pam_unix(unity:auth): authentication failure; logname= uid=1 euid=1 tty= ruser= rhost=  user=izy",
         {"user": "izy", "service": "unity"}),
        ("su(pam_unix)[3]", "session opened for user root by alice(uid=1000)",
         {"user": "root", "by": "alice", "by_uid": "1000", "session": "opened"}),
        ("systemd", "pam_unix(systemd-user:session): session opened for user bob(uid=1001) by (uid=0)",
         {"user": "bob", "uid": "1001", "service": "systemd-user"}),
        ("sudo", "   alice : TTY=pts/0 ; PWD=/home/a ; USER=root ; COMMAND=/bin/cat /etc/shadow",
         {"user": "alice", "tty": "pts/0", "pwd": "/home/a", "as_user": "root", "command": "/bin/cat /etc/shadow"}),
        ("sudo", "mallory : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh ; COMMAND=x",
         {"user": "mallory", "why": "user NOT in sudoers", "command": "/bin/sh ; COMMAND=x"}),
        ("sudo[5]", "pam_unix(sudo:session): session closed for user root", {"user": "root", "session": "closed"}),
        ("su[3]", "FAILED SU (to root) alice on pts/1", {"user": "root", "by": "alice"}),
        ("su", "(to root) alice on pts/1", {"user": "root", "by": "alice"}),
        ("login[4]", "LOGIN ON tty1 BY root", {"user": "root", "tty": "tty1"}),
        ("login[4]", "FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', Authentication failure", {"user": "bob"}),
        ("useradd[9]", "new user: name=evil, UID=0, GID=0, home=/root, shell=/bin/sh", {"user": "evil", "uid": "0"}),
        ("usermod[9]", "add 'bob' to group 'sudo'", {"user": "bob", "group": "sudo"}),
        ("userdel[9]", "delete user 'bob'", {"user": "bob"}),
        ("passwd[9]", "pam_unix(passwd:chauthtok): password changed for bob", {"user": "bob", "service": "passwd"}),
        ("/usr/sbin/cron[9]", "(root) CMD (  cd / && run-parts)", {"user": "root", "command": "  cd / && run-parts"}),
        ("systemd-logind[9]", "New session 3 of user bob.", {"user": "bob", "session": "3"}),
        ("unix_chkpwd[33354]", "password check failed for user (izy)", {"user": "izy"}),
    ],
)  # fmt: skip
def test_known_programs_tell_who_and_from_where(program: str, message: str, wanted: dict[str, str]) -> None:
    row = one(f"Aug 13 07:36:32 h {program}: {message}")
    found = fields(row)
    assert {key: found.get(key) for key in wanted} == wanted
    assert row.user == wanted.get("user", "")
    assert row.cmdline == wanted.get("command", "")


def test_another_program_cannot_speak_for_sshd() -> None:
    row = sshd("Accepted password for root from 1.2.3.4 port 5 ssh2", program="logger")
    assert (row.user, row.provider) == ("", "logger")
    assert row.message.startswith("Accepted password")


def test_a_message_that_holds_another_header_is_one_row() -> None:
    evil = "Aug 13 07:36:32 victim sshd[1]: Accepted password for root from 1.2.3.4 port 5 ssh2"
    row = sshd(f"Invalid user {evil} from 9.9.9.9")
    assert (row.host, row.pid, fields(row)["src_ip"]) == ("ubuntu", 33197, "9.9.9.9")
    assert row.user == evil


def test_a_repeated_message_is_one_row_with_its_count() -> None:
    row = sshd("message repeated 5 times: [ Failed password for root from 5.36.59.76 port 42393 ssh2]")
    assert (fields(row)["repeated"], row.user, fields(row)["src_ip"]) == (5, "root", "5.36.59.76")
    assert row.message.startswith("message repeated 5 times: [ Failed")
    last = one("Aug 13 07:36:32 h last message repeated 3 times")
    assert (fields(last)["repeated"], last.provider) == (3, "")


def test_a_kernel_line_keeps_its_uptime_apart() -> None:
    row = one("Aug 13 07:36:32 h kernel: [  123.456789] usb 1-1: new device")
    assert (row.provider, row.message, fields(row)["uptime"]) == ("kernel", "usb 1-1: new device", "123.456789")


def test_a_line_without_a_host_is_the_files_host() -> None:
    row = one("Aug 13 07:36:32 sshd[7]: Invalid user a: b from 1.2.3.4")
    assert (row.host, row.provider, row.pid, row.user) == ("here", "sshd", 7, "a: b")


def test_indented_lines_belong_to_the_row_before() -> None:
    found = rows(
        "Aug 13 07:36:32 h app[1]: Traceback\n  File x\n\tline 2\nAug 13 07:36:33 h app[1]: next\n", "2023-08-13"
    )
    assert [row.message for row in found] == ["Traceback File x line 2", "next"]
    assert fields(found[0])["continued"] == ["  File x", "\tline 2"]
    many = rows("Aug 13 07:36:32 h app[1]: x\n" + "  y\n" * 3000, "2023-08-13")
    assert len(many) == 1 + 3000 - syslog.MAX_CONTINUED
    assert [row.parsed for row in many[:3]] == [True, False, False]


def test_rows_do_not_depend_on_how_the_bytes_arrive() -> None:
    log = "\ufeffAug 13 07:36:32 h a[1]: x\r\n  more\r\n\r\nrubbish\r\nAug 13 07:36:33 h a[1]: y"
    wanted = rows(log, "2023-08-13")
    assert [row.message for row in wanted] == ["x more", "rubbish", "y"]
    for chunk in (1, 3, 10):
        assert rows(log, "2023-08-13", chunk) == wanted


def test_unsafe_bytes_are_shown_and_kept() -> None:
    row = one(b"Aug 13 07:36:32 h a[x9]: \x1b[31m\xff\x00 end")
    assert row.message == "\\x1b[31m\\xff\\x00 end"
    assert (row.pid, fields(row)["pid"], fields(row)["raw"]) == (-1, "x9", "\x1b[31m\\xff\x00 end")
    bad = one(b"no header \x00\xfe")
    assert (bad.parsed, bad.message, fields(bad)["raw"]) == (False, "no header \\x00\\xfe", "no header \x00\\xfe")


def test_a_line_of_ten_megabytes_is_cut_and_not_parsed() -> None:
    found = rows(b"Aug 13 07:36:32 h a: " + b"x" * (10 << 20) + b"\nAug 13 07:36:33 h a: y\n", "2023-08-13")
    assert [row.parsed for row in found] == [False, True]
    assert len(found[0].message) < 5000


@pytest.mark.parametrize(
    "body",
    ["Failed x for " + " from a" * 140_000, "sudo" + " ; USER=x ; ENV=" * 60_000, "(" * 900_000, " : TTY=" * 140_000,
     "pam_unix(" + "rhost=" * 150_000, "Invalid user " + " " * 900_000],
    ids=lambda body: body[:9],
)  # fmt: skip
@pytest.mark.parametrize("program", ["sshd", "sudo", "cron", "x"])
def test_hostile_messages_take_no_longer_than_others(body: str, program: str) -> None:
    one(f"Aug 13 07:36:32 h {program}: {body}")
    one(f"<1>1 - h {program} - - [a {'b=' * 100_000} {body}")


def test_mutated_lines_never_raise() -> None:
    rng = random.Random(2)
    seeds = [
        b"<86>Aug 13 07:36:32 h sshd[1]: Failed password for x from 1.2.3.4 port 5 ssh2\n  more\n",
        b'<165>1 2003-10-11T22:14:15.003Z h app 1 ID [a x="1"] m\n',
        b"2024-05-01T12:00:00.1+02:00 h p[1]: m\n",
    ]
    for _ in range(1500):
        raw = bytearray(rng.choice(seeds) * 2)
        for _ in range(rng.randint(1, 8)):
            raw[rng.randrange(len(raw))] = rng.choice(b"\x00\xff\n 0123456789<>[]:TZ-+x\xc2\xa0")
        for near in ("2023-08-13", None):
            for row in rows(bytes(raw), near):
                json.loads(row.fields_json)


@pytest.mark.skipif(not SSH.exists(), reason="../shared/real/loghub is not there")
def test_every_line_of_a_real_sshd_log_parses_and_attacks_have_addresses() -> None:
    found = rows((SSH / "OpenSSH_2k.log").read_bytes(), "2015-12-10")
    assert len(found) == 2000
    assert all(row.parsed and row.provider == "sshd" and row.pid > 0 for row in found)
    failed = [row for row in found if row.message.startswith(("Failed", "Accepted", "Invalid user"))]
    assert len(failed) > 600
    assert all(fields(row).get("src_ip") for row in failed)
    content = [line.partition(": ")[2] for line in (SSH / "OpenSSH_2k.log").read_text().splitlines()]
    assert [row.message for row in found] == content
    assert [row.ts_ns for row in found] == sorted(row.ts_ns for row in found)


@pytest.mark.skipif(not IZYSEC.exists(), reason="../shared/real/linux_audit_izysec is not there")
def test_real_secure_logs_name_the_user_in_every_line() -> None:
    found = [row for path in sorted(IZYSEC.glob("*secure.log")) for row in rows(path.read_bytes(), "2022-08-13")]
    assert len(found) == 6
    assert all(row.user == "izy" for row in found)
