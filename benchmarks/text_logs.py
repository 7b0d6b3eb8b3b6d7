"""Audit, journal and syslog logs made here, and the obvious reader of each: patterns or JSON, and a pandas table.

An event is a row for either reader, with time, host, process and the whole record. What does not belong here: timing
(`hostlogs.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pandas as pd

from rlstir_core.hostlogs.auditd import parser as auditd
from rlstir_core.hostlogs.journald import parser as journald
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.hostlogs.spec import ParserSpec
from rlstir_core.hostlogs.syslog import parser as syslog
from rlstir_core.hostlogs.times.reading import LogEvidence

T0 = 1_715_000_000
_RECORD = re.compile(r"type=(\S+) msg=audit\(([^)]*?)[.](\d{3}):(\d+)\) ?: ?(.*)")
_PAIR = re.compile(r"(\w+)=(\"[^\"]*\"|\S+)")
_SYSLOG = re.compile(r"(\w{3} +\d+ [\d:]{8}) (\S+) ([^\[:]+)(?:\[(\d+)\])?: (.*)")


class Part(NamedTuple):
    """A format: its log, and the two that read it."""

    log: bytes
    ours: Callable[[bytes], int]
    obvious: Callable[[bytes], int]
    bar: float  # how many times as fast as the obvious one ours must be, which keeps and checks more


def parts(n: int) -> dict[str, Part]:
    """The formats, with logs of `n` events each."""
    return {
        "audit": Part(audit(n), _ours(auditd.SPEC), obvious_audit, 0.4),
        "ausearch_i": Part(ausearch(n), _ours(auditd.SPEC), obvious_audit, 0.25),
        "journal": Part(journal(n), _ours(journald.SPEC), obvious_journal, 1.0),
        "syslog": Part(syslog_lines(n), _ours(syslog.SPEC), obvious_syslog, 0.8),
    }


def audit(n: int) -> bytes:
    """Three records an event, as auditd writes them."""
    out = []
    for i in range(n):
        head = f"msg=audit({T0 + i // 9}.{i % 1000:03}:{1000 + i}):"
        out.append(
            f"type=SYSCALL {head} arch=c000003e syscall=59 success=yes exit=0 a0=55d a1=7ff a2=0 a3=8 items=2 "
            f'ppid={i % 977} pid={1000 + i % 30_000} auid=1000 uid=0 gid=0 ses=3 comm="job{i % 31}" '
            f'exe="/usr/bin/job{i % 31}" key="exec"\n'
            f'type=EXECVE {head} argc=2 a0="job{i % 31}" a1="--n={i}"\n'
            f'type=PATH {head} item=0 name="/usr/bin/job{i % 31}" inode={i % 499} mode=0100755 nametype=NORMAL\n'
        )
    return "".join(out).encode()


def ausearch(n: int) -> bytes:
    """The same events as `ausearch -i` prints them."""
    out = []
    for i in range(n):
        at = datetime.fromtimestamp(T0 + i // 9, UTC)
        head = f"msg=audit({at:%m/%d/%Y %H:%M:%S}.{i % 1000:03}:{1000 + i}) :"
        out.append(
            f"----\ntype=PATH {head} item=0 name=/usr/bin/job{i % 31} inode={i % 499} mode=file,755 nametype=NORMAL \n"
            f"type=EXECVE {head} argc=2 a0=job{i % 31} a1=--n={i} \n"
            f"type=SYSCALL {head} arch=x86_64 syscall=execve success=yes exit=0 a0=0x55d a1=0x7ff a2=0x0 a3=0x8 "
            f"items=2 ppid={i % 977} pid={1000 + i % 30_000} auid=anna uid=root gid=root ses=3 comm=job{i % 31} "
            f"exe=/usr/bin/job{i % 31} key=exec \n"
        )
    return "".join(out).encode()


def journal(n: int) -> bytes:
    """Entries as `journalctl -o json` prints them."""
    return b"\n".join(
        json.dumps(
            {
                "__CURSOR": f"s=1;i={i:x}",
                "__REALTIME_TIMESTAMP": str((T0 * 10**6) + i * 111_111),
                "__MONOTONIC_TIMESTAMP": str(i * 111_111),
                "_BOOT_ID": "0f" * 16,
                "_HOSTNAME": "web1.lab.test",
                "_PID": str(1000 + i % 30_000),
                "_UID": "0",
                "_COMM": f"job{i % 31}",
                "_EXE": f"/usr/bin/job{i % 31}",
                "_CMDLINE": f"job{i % 31} --n={i}",
                "_SYSTEMD_UNIT": f"job{i % 31}.service",
                "PRIORITY": "6",
                "SYSLOG_IDENTIFIER": f"job{i % 31}",
                "MESSAGE": f"done {i} of many in {i % 89} ms",
            }
        ).encode()
        for i in range(n)
    )


def syslog_lines(n: int) -> bytes:
    """Lines of sshd without a year."""
    out = []
    for i in range(n):
        at = datetime.fromtimestamp(T0 + i // 9, UTC)
        what = f"Failed password for invalid user u{i % 97} from 192.0.2.{i % 251} port {1024 + i % 60_000} ssh2"
        out.append(f"{at:%b} {at.day:2} {at:%H:%M:%S} web{i % 3} sshd[{1000 + i % 30_000}]: {what}")
    return "\n".join(out).encode()


def _ours(spec: ParserSpec) -> Callable[[bytes], int]:
    def read(log: bytes) -> int:
        """What an import does: the survey of the whole log, then its rows."""
        rows: list[LogRow] = list(spec.read([log], LogContext(reading=spec.surveyed([log], LogEvidence()))))
        return sum(row.parsed for row in rows)

    return read


def obvious_audit(log: bytes) -> int:
    """Records by pattern, pairs by pattern, events by serial, and a table of them; raw, or with dates."""
    events: dict[str, dict[str, Any]] = {}
    for line in log.decode().split("\n"):
        if match := _RECORD.match(line):
            kind, at, millis, serial, body = match.groups()
            event = events.setdefault(serial, {"at": at, "millis": int(millis)})
            event[kind] = dict(_PAIR.findall(body))
    frame = pd.DataFrame(list(events.values()))
    raw = frame["at"].iloc[0].isdecimal()
    frame["time"] = pd.to_datetime(frame["at"].astype(int), unit="s") if raw else pd.to_datetime(frame["at"])
    frame["pid"] = [int(call["pid"]) for call in frame["SYSCALL"]]
    frame["exe"] = [call["exe"].strip('"') for call in frame["SYSCALL"]]
    frame["fields_json"] = [json.dumps(event) for event in events.values()]
    return len(frame)


def obvious_journal(log: bytes) -> int:
    """JSON by line and a table of the entries."""
    lines = [line for line in log.split(b"\n") if line]
    frame = pd.DataFrame([json.loads(line) for line in lines])
    frame["time"] = pd.to_datetime(frame["__REALTIME_TIMESTAMP"].astype("int64"), unit="us")
    frame["host"] = frame["_HOSTNAME"].str.lower().str.split(".").str[0]
    frame["pid"] = frame["_PID"].astype(int)
    frame["fields_json"] = [line.decode() for line in lines]
    return len(frame)


def obvious_syslog(log: bytes) -> int:
    """Lines by pattern, and a table of them in one year."""
    found = [match.groups() for line in log.decode().split("\n") if (match := _SYSLOG.match(line))]
    frame = pd.DataFrame(found, columns=["at", "host", "program", "pid", "message"])
    frame["time"] = pd.to_datetime("2024 " + frame["at"], format="%Y %b %d %H:%M:%S")
    frame["pid"] = frame["pid"].fillna("-1").astype(int)
    said = frame["message"].str.extract(r"for (?:invalid user )?(?P<user>\S+) from (?P<src_ip>\S+) port (?P<port>\d+)")
    frame["fields_json"] = [json.dumps(each) for each in said.to_dict("records")]
    return len(frame)
