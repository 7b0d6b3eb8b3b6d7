"""The logs of a simulated Linux guest say all that happened, as a real one's, and nothing of who is asked."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import linux_recovery
import linux_story
import pytest

from rlstir_core.hostlogs.schema import LogContext
from rlstir_core.hostlogs.syslog import parser as syslog
from rlstir_core.lab.machine import events as ev

of, told = linux_story.of, linux_story.told
S = 1_000_000_000


@pytest.fixture(params=[False, True], ids=["raw", "enriched"])
def day(request: pytest.FixtureRequest) -> Any:
    """A day's story, its guest, its boot, and its logs."""
    return linux_story.day(request.param)


# What comes back


def test_at_least_99_percent_of_events_and_edges_come_back(day: Any) -> None:
    story, on, boot, logs = day
    made = linux_recovery.recover(on, boot, story.events, logs)
    assert made.events > 500 and made.edges > 400
    assert made.share >= 0.99, (dict(made.by_kind), made.missed)
    assert made.edge_share >= 0.99, made.missed
    assert made.unparsed == 0 and made.dropped == 0


def test_pids_are_reused_in_the_story_and_deep_trees_are_in_it(day: Any) -> None:
    story = day[0]
    started = [event.who for event in story.events if isinstance(event, ev.Started)]
    assert max(Counter(who.pid for who in started).values()) >= 3
    deepest = 0
    for who in started:
        depth, each = 0, who
        while each.parent is not None:
            each, depth = each.parent, depth + 1
        deepest = max(deepest, depth)
    assert deepest >= 10


def test_a_recovery_of_logs_without_some_lines_is_not_complete(day: Any) -> None:
    story, on, boot, logs = day
    lines = logs["logs/audit.log"].splitlines(keepends=True)
    cut = logs | {"logs/audit.log": b"".join(line for line in lines if b"syscall=59 " not in line)}
    made = linux_recovery.recover(on, boot, story.events, cut)
    assert made.share < 0.9 and made.missed


# Sameness


def test_equal_arguments_give_equal_bytes(day: Any) -> None:
    story, _, _, logs = day
    assert linux_story.write(story) == logs
    assert linux_story.write(story, seed=8) != logs


def test_no_byte_depends_on_the_step(day: Any) -> None:
    _, on, _, logs = day
    attack = linux_story.Story(on, step=5).day()
    assert all(event.step == 5 for event in attack.events)
    assert linux_story.write(attack) == logs


def test_a_run_in_another_process_gives_the_same_bytes(day: Any, tmp_path: Path) -> None:
    _, on, _, logs = day
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1])\n"
        "from dataclasses import replace; import numpy as np, linux_story\n"
        "from rlstir_core.lab.machine.guest import guest\n"
        "from rlstir_core.lab.writers.linux import logs as linux_logs\n"
        "story = linux_story.Story(replace(guest('web-03', 'linux'), enriched=sys.argv[2] == 'True')).day()\n"
        "logs = linux_logs.write(story.guest, story.boot(), story.events, story.living, np.random.default_rng(7))\n"
        "sys.stdout.buffer.write(b''.join(logs[name] for name in sorted(logs)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(on.enriched)],
        capture_output=True, check=True, env={"PYTHONHASHSEED": "12345", "TZ": "Asia/Tokyo", "PATH": "/usr/bin"},
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.stdout == b"".join(logs[name] for name in sorted(logs))


def test_no_events_give_empty_logs() -> None:
    story = linux_story.Story(linux_story.guest_of(False))
    logs = linux_story.write(story, [])
    assert logs == {"logs/audit.log": b"", "logs/auth.log": b"", "logs/journal.jsonl": b""}


# auth.log and the journal


def test_a_login_by_ssh_is_told_as_sshd_pam_and_logind_tell_it() -> None:
    lines, auth, journal = told(lambda story: story.leave(*story.session("password")))
    name = re.findall(r"Accepted password for (\w+) from 203\.0\.113\.9 port \d+ ssh2$", auth[0])[0]
    assert re.match(r"Mar  2 08:00:01 web-03 sshd\[2000\]: ", auth[0])
    assert f"pam_unix(sshd:session): session opened for user {name}(uid=100" in auth[1]
    assert auth[2].endswith(f"systemd-logind[650]: New session 21 of user {name}.")
    assert auth[-1].endswith("systemd-logind[650]: Removed session 21.")
    kinds = [line.split(" ")[0][5:] for line in lines if line[5:9] in ("USER", "CRED", "LOGI")]
    assert kinds == ["USER_AUTH", "USER_ACCT", "CRED_ACQ", "LOGIN", "USER_START", "USER_LOGIN", "USER_END", "CRED_DISP"]
    for line in auth:  # everything in auth.log stands in the journal
        text = line.partition(": ")[2]
        assert any(entry["MESSAGE"] == text and entry["SYSLOG_FACILITY"] in ("4", "10") for entry in journal)


def test_failed_logins_say_failed_everywhere() -> None:
    def tell(story: Any) -> None:
        story.guess("oracle", 2)
        story.guess("", 1, known=True)

    lines, auth, _ = told(tell)
    text = "\n".join(auth)
    assert text.count("Failed password for invalid user oracle from 198.51.100.7 port 40022 ssh2") == 2
    assert text.count("Invalid user oracle from 198.51.100.7 port 40022") == 1
    assert "Connection closed by invalid user oracle 198.51.100.7 port 40022 [preauth]" in text
    assert "PAM 1 more authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=198.51.100.7" in text
    logins = of(lines, "USER_LOGIN")
    assert len(logins) == 3 and all("terminal=sshd res=failed'" in line for line in logins)
    assert f"acct={b'(invalid user)'.hex().upper()} " in logins[0] and 'acct="?"' in of(lines, "USER_AUTH")[0]
    assert all("grantors=? " in line for line in of(lines, "USER_AUTH"))


def test_sudo_tells_audit_the_command_in_hex_and_syslog_in_clear() -> None:
    def tell(story: Any) -> None:
        story.sudo(story.session()[1])

    lines, auth, journal = told(tell)
    (command,) = of(lines, "USER_CMD")
    assert f" cmd={b'/usr/bin/tail -n 5 /var/log/auth.log'.hex().upper()} " in command and "res=success'" in command
    assert any(" sudo: " in line and "; USER=root ; COMMAND=/usr/bin/tail -n 5" in line for line in auth)
    entry = next(each for each in journal if "COMMAND=" in each["MESSAGE"])
    assert entry["MESSAGE"].startswith("  ") and "SYSLOG_PID" not in entry and entry["PRIORITY"] == "5"
    after = [line for line in of(lines, "SYSCALL") if ' comm="sudo" ' in line]
    assert all(re.search(r" uid=100\d .* euid=0 suid=0 ", line) for line in after)


def test_times_of_auth_log_have_no_year_and_read_back_in_the_right_one(day: Any) -> None:
    _, _, boot, logs = day
    assert re.fullmatch(r"(?:Mar  2 08:\d\d:\d\d web-03 [^\n]+\n)+", logs["logs/auth.log"].decode())
    rows = list(syslog.rows([logs["logs/auth.log"]], LogContext(near_ns=boot.start_ns)))
    assert all(row.parsed and boot.start_ns - S <= row.ts_ns <= boot.end_ns for row in rows)


def test_journal_entries_have_the_fields_of_real_ones(day: Any) -> None:
    _, on, boot, logs = day
    entries = [json.loads(line) for line in logs["logs/journal.jsonl"].decode().split("\n")[:-1]]
    assert [int(each["__SEQNUM"]) for each in entries] == list(range(900, 900 + len(entries)))
    assert len({each["__CURSOR"] for each in entries}) == len(entries)
    before = 0
    for each in entries:
        real, mono = int(each["__REALTIME_TIMESTAMP"]), int(each["__MONOTONIC_TIMESTAMP"])
        assert real > before and real - mono == boot.boot_ns // 1000
        before = real
        assert each["_BOOT_ID"] == boot.boot_id and each["_HOSTNAME"] == on.name
        assert each["_TRANSPORT"] in ("syslog", "journal", "stdout", "kernel")
        assert all(isinstance(value, (str, list)) for value in each.values())
        if each["_TRANSPORT"] != "kernel":
            assert each["_PID"].isdecimal() and each["_EXE"].startswith("/") and each["_SYSTEMD_UNIT"]
        if each["_TRANSPORT"] == "syslog":
            assert re.fullmatch(r"Mar  2 08:\d\d:\d\d ", each["SYSLOG_TIMESTAMP"])
    units = {each["SYSLOG_IDENTIFIER"]: each.get("_SYSTEMD_UNIT") for each in entries}
    by_word = {str(each["MESSAGE"]).partition(" ")[0]: each for each in entries if each["SYSLOG_IDENTIFIER"] == "sshd"}
    assert by_word["Accepted"]["_SYSTEMD_UNIT"] == "ssh.service" and "_AUDIT_SESSION" not in by_word["Accepted"]
    assert by_word["Received"]["_SYSTEMD_UNIT"] == f"session-{by_word['Received']['_AUDIT_SESSION']}.scope"
    assert units["CRON"] == "cron.service" and units["systemd"] == "init.scope"
    assert re.fullmatch(r"session-\d+\.scope", units["sudo"])
    started = [each for each in entries if each.get("MESSAGE_ID") == "39f53479d3a045ac8e11786248231fbf"]
    assert started[0]["MESSAGE"] == "Started updater.service - Update helper."
    assert started[0]["UNIT"] == "updater.service" and started[0]["JOB_RESULT"] == "done"


def test_text_that_no_terminal_should_see_is_bytes_in_the_journal() -> None:
    text = "bell\x07 “quoted”"
    entry = told(lambda story: story.note(ev.Wrote, story.nginx, text=text))[2][0]
    assert bytes(entry["MESSAGE"]).decode() == text


def test_events_that_say_little_are_written_all_the_same() -> None:
    def tell(story: Any) -> None:
        user, root, nginx = story.guest.users[0], story.guest.root, story.nginx
        story.note(ev.OnRegistry, nginx, op="set", key="HKLM\\x")
        story.note(ev.OnPipe, nginx, op="create", name="x")
        story.note(ev.RanScript, nginx, text="x")
        story.note(ev.OnTask, nginx, what="ran", task="root", command="true")
        story.note(ev.OnTask, nginx, what="deleted", task="root")
        story.note(ev.Sudoed, nginx, account=user, target=root, command="id")
        story.note(ev.LoggedOn, story.sshd, account=user, how="password", src_ip="192.0.2.1", src_port=9)
        story.note(ev.LoggedOn, nginx, account=user, how="service")
        story.note(ev.LoggedOff, nginx, session=ev.Session(7, user, kind="ssh"))
        story.note(ev.LoggedOff, nginx, session=ev.Session(8, root, kind="cron"))
        for log in ("auth", "/var/log/wtmp", "lastlog"):
            story.note(ev.Cleared, nginx, log=log)
        for what in ("installed", "started", "stopped", "failed"):
            story.note(ev.OnService, story.init, what=what, service="x.timer")
        story.connect(nginx, "192.0.2.1", 80, inbound=True, failed=True)
        story.connect(nginx, "192.0.2.1", 80, inbound=True, l4="udp")
        story.note(ev.Wrote, nginx)

    lines, _, journal = told(tell)
    assert len(lines) > 30 and len(journal) > 15


def test_guesses_on_new_connections_of_one_process_close_the_old_ones() -> None:
    def tell(story: Any) -> None:
        for port in (1001, 1003):
            story.note(
                ev.LoggedOn, story.sshd, account=ev.Account("x", 0), how="password", ok=False, known=False,
                src_ip="192.0.2.1", src_port=port,
            )  # fmt: skip
            story.now += S

    auth = told(tell)[1]
    closed = [line for line in auth if "Connection closed by invalid user x 192.0.2.1 port" in line]
    assert len(closed) == 2 and auth.index(closed[0]) < len(auth) - 1 and auth[-1] == closed[1]
