"""The system's own tools read the logs of a simulated guest without complaint, and count what was written."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import linux_story
import pytest

from rlstir_core.lab.machine import events as ev

of, serials = linux_story.of, linux_story.serials
REMOTE = Path("/lib/systemd/systemd-journal-remote")


@pytest.fixture(params=[False, True], ids=["raw", "enriched"])
def day(request: pytest.FixtureRequest) -> Any:
    """A day's story, its guest, its boot, and its logs."""
    return linux_story.day(request.param)


# The system's own tools


def _tool(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def _run(*argv: str) -> str:
    """What a tool prints; it must not complain."""
    env = {"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = subprocess.run(argv, capture_output=True, check=False, env=env)
    assert done.returncode == 0 and done.stderr == b"", done.stderr[:500]
    return done.stdout.decode("utf-8", "surrogateescape")


@pytest.fixture
def audit_log(day: Any, tmp_path: Path) -> Path:
    path = tmp_path / "audit.log"
    path.write_bytes(day[3]["logs/audit.log"])
    return path


def test_ausearch_reads_every_event(day: Any, audit_log: Path) -> None:
    tool, content = _tool("ausearch"), day[3]["logs/audit.log"]
    raw = _run(tool, "-if", str(audit_log), "--raw")
    # it puts a separator behind every line of an enriched log
    assert sorted(line.rstrip("\x1d") for line in raw.split("\n")) == sorted(content.decode().split("\n"))
    assert sorted(serials(raw.encode())) == sorted(serials(content))
    shown = _run(tool, "-if", str(audit_log), "-i")
    # to ausearch a LOGIN is an event by itself, and the system call with its serial is another
    assert shown.count("----\n") == len(serials(content)) + len(of(content.decode().split("\n"), "LOGIN"))
    assert "invalid" not in shown.replace("(invalid user)", "") and "unknown-" not in shown


def test_ausearch_finds_by_syscall_user_file_and_key(day: Any, audit_log: Path) -> None:
    tool, story = _tool("ausearch"), day[0]
    counts = Counter(type(event).__name__ for event in story.events)
    for argv, expected in (
        (("-sc", "execve"), counts["Started"]),
        (("-k", "exec"), counts["Started"]),
        (("-sc", "accept4"), sum(getattr(event, "inbound", False) for event in story.events)),
        (("-m", "USER_CMD"), counts["Sudoed"]),
        (("-f", "/etc/shadow"), sum(getattr(event, "path", "") == "/etc/shadow" for event in story.events)),
    ):
        shown = _run(tool, "-if", str(audit_log), "--raw", *argv)
        assert len(serials(shown.encode())) == expected, argv


def test_aureport_counts_what_was_written(day: Any, audit_log: Path) -> None:
    tool, story, content = _tool("aureport"), day[0], day[3]["logs/audit.log"].decode()
    lines = content.split("\n")
    summary = _run(tool, "-if", str(audit_log), "--summary")
    counts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in summary.split("\n"))}
    logins = of(lines, "USER_LOGIN")
    assert int(counts["Number of logins"]) == sum("res=success" in line for line in logins)
    assert int(counts["Number of failed logins"]) == sum("res=failed" in line for line in logins)
    failed = sum("res=failed" in line for line in of(lines, "USER_AUTH"))
    assert int(counts["Number of authentications"]) == len(of(lines, "USER_AUTH")) - failed
    assert int(counts["Number of failed authentications"]) == failed
    assert int(counts["Number of anomaly events"]) == 0 and int(counts["Number of process IDs"]) > 50
    # four lines of head, and a line of columns
    for option, count in (("-au", len(of(lines, "USER_AUTH"))), ("-l", len(logins))):
        report = _run(tool, "-if", str(audit_log), option, "-i")
        assert len(re.findall(r"^\d+\. ", report, re.MULTILINE)) == count, option
    programs = _run(tool, "-if", str(audit_log), "-x", "--summary", "-i")
    started = {event.who.exe for event in story.events if isinstance(event, ev.Started)}
    assert started <= set(re.findall(r"^\d+ +(\S+)$", programs, re.MULTILINE))
    files = _run(tool, "-if", str(audit_log), "-f", "--summary", "-i")
    assert re.search(r"^6 +/etc/shadow", files, re.MULTILINE)


def test_every_line_of_the_journal_is_json_to_jq(day: Any, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(day[3]["logs/journal.jsonl"])
    numbers = _run(_tool("jq"), "-r", ".__SEQNUM", str(path)).split()
    assert len(numbers) == day[3]["logs/journal.jsonl"].count(b"\n")


def test_journald_takes_the_entries_and_gives_back_every_field(day: Any, tmp_path: Path) -> None:
    if not REMOTE.exists():
        pytest.skip(f"{REMOTE} is not installed")
    journalctl = _tool("journalctl")
    entries = [json.loads(line) for line in day[3]["logs/journal.jsonl"].decode().split("\n")[:-1]]
    ours = ("__SEQNUM", "__SEQNUM_ID")  # an older systemd does not know them
    (tmp_path / "entries").write_bytes(b"".join(_exported(each, leave=ours) for each in entries))
    place = tmp_path / "back.journal"
    subprocess.run([REMOTE, "-o", place, tmp_path / "entries"], capture_output=True, check=True)
    shown = _run(journalctl, "--file", str(place), "-o", "json", "--all").split("\n")[:-1]
    back = [json.loads(line) for line in shown]
    assert len(back) == len(entries)
    for wrote, got in zip(entries, back, strict=True):
        kept = {key: value for key, value in wrote.items() if key not in (*ours, "__CURSOR")}
        assert {key: got.get(key) for key in kept} == kept
    ssh = _run(journalctl, "--file", str(place), "-u", "ssh.service", "-o", "cat").split("\n")
    assert sum("Accepted" in line for line in ssh) == sum("Accepted" in str(each["MESSAGE"]) for each in entries)


def _exported(entry: dict[str, Any], leave: tuple[str, ...]) -> bytes:
    """An entry in the journal's export format."""
    parts = []
    for key, value in entry.items():
        raw = bytes(value) if isinstance(value, list) else value.encode()
        if key in leave:
            continue
        if any(byte < 32 for byte in raw):
            parts.append(key.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n")
        else:
            parts.append(key.encode() + b"=" + raw + b"\n")
    return b"".join(parts) + b"\n"
