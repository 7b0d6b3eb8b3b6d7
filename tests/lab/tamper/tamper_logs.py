"""Small logs of every format, made by hand, and the check that the truth about a tampered log is exact."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rlstir_core.hostlogs.attack.truth import TamperSpan
from rlstir_core.hostlogs.opening.recognise import HEAD, recognise
from rlstir_core.hostlogs.parsers import spec_of, spec_of_member
from rlstir_core.hostlogs.schema import LogContext, LogRow
from rlstir_core.lab.tamper.formats.forms import as_text, form_of

REAL = Path(__file__).parents[4] / "shared" / "real"
T0 = 1_714_564_800  # 2024-05-01 12:00:00 UTC
NEAR = T0 * 10**9
# the host numbers on by itself: later records differ in their number alone
NATURAL = ("audit_disabled", "inject_decoys")


def audit_log(enriched: bool = True, n: int = 40) -> bytes:
    """Executions (a tree of shells), logins, opens: interleaved, with ends of events and a line that is none."""
    dice, lines, serial, at = random.Random(5), [], 100, float(T0)
    names = '\x1dUID="root" AUID="anna"' if enriched else ""
    for k in range(n):
        serial += 1 if k % 9 else 3  # some serials are lost anyway
        at += dice.random() * 2
        stamp = f"audit({at:.3f}:{serial})"
        ppid, pid = (900, 1000 + k) if k % 3 else (1000 + max(k - 3, 0), 1000 + k)
        tty = f"tty=pts{k % 2} ses={3 + k % 2}"
        if k % 4 == 3:
            exe = '"/usr/sbin/sshd"' if k % 8 == 3 else '"/usr/bin/sudo"'
            who = "anna" if k % 3 else "eve"
            body = f'op=login acct="{who}" exe={exe} hostname=? addr=198.51.100.{k} res=success'
            lines.append(f"type=USER_LOGIN msg={stamp}: pid={pid} uid=0 auid=1000 ses=3 msg='{body}'{names}")
            continue
        exe = ("/usr/bin/bash", "/usr/bin/curl", "/usr/bin/id")[k % 3]
        syscall = (
            f"type=SYSCALL msg={stamp}: arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 items=1 ppid={ppid} "
            f'pid={pid} auid={1000 + k % 2} uid=0 gid=0 {tty} comm="x" exe="{exe}" key="exec"{names}'
        )
        execve = f'type=EXECVE msg={stamp}: argc=2 a0="{exe}" a1="-x{k}"'
        path = f'type=PATH msg={stamp}: item=0 name="{exe}" nametype=NORMAL'
        title = f"type=PROCTITLE msg={stamp}: proctitle={f'{exe} -x{k}'.replace(' ', chr(0)).encode().hex().upper()}"
        end = f"type=EOE msg={stamp}: "
        mine = [syscall, execve, path, title, end] if k % 5 else [syscall, path, end]
        if k % 7 == 2 and lines:  # the last line of the event before comes in between
            last = lines.pop()
            lines += [mine[0], last, *mine[1:]]
        else:
            lines += mine
    lines.insert(len(lines) // 2, "garbage that is no record")
    return "\n".join(lines).encode() + b"\n"


def auth_log(style: str = "old", n: int = 40) -> bytes:
    """sshd, sudo with its commands, cron; a message over several lines and a line that is none."""
    dice, lines, at = random.Random(6), [], float(T0)
    for k in range(n):
        at += 1 + dice.random() * 20
        whole, ms = int(at), int(at % 1 * 1000)
        clock = f"{whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"
        program, message = (
            ("sshd", f"Failed password for invalid user u{k % 5} from 203.0.113.{k} port 4{k:03d} ssh2"),
            ("sudo", f"anna : TTY=pts/{k % 2} ; PWD=/home ; USER=root ; COMMAND=/usr/bin/id {k}"),
            ("CRON", f"(root) CMD (run {k})"),
            ("sshd", f"Accepted publickey for {'anna' if k % 3 else 'eve'} from 198.51.100.{k} port 50{k:02d} ssh2"),
        )[k % 4]
        if style == "old":
            lines.append(f"May  1 {clock} web1 {program}[{700 + k}]: {message}")
        elif style == "iso":
            lines.append(f"2024-05-01T{clock}.{ms:03d}+00:00 web1 {program}[{700 + k}]: {message}")
        else:
            lines.append(f"<38>1 2024-05-01T{clock}.{ms:03d}Z web1 {program} {700 + k} - - {message}")
        if k % 10 == 4:
            lines.append("   and more of it")
        if k == 20:
            lines.append("\x00garbage")
    return "\n".join(lines).encode() + b"\n"


def journal(n: int = 60, quiet_us: int = 40_000_000) -> bytes:
    """sshd in bursts, a cron, the kernel, and a torn line."""
    dice, lines, us = random.Random(7), [], T0 * 10**6
    for k in range(n):
        us += 300 if k % 7 == 3 else dice.randrange(50, 900_000) if k % 20 else quiet_us
        mono, number = us - T0 * 10**6 + 5_000_000, 700 + k
        program = ("sshd", "sshd", "cron", "sudo", "kernel")[k % 5]
        message = {
            "sshd": f"Failed password for root from 203.0.113.{k} port {k} ssh2",
            "cron": f"(root) CMD (run {k})",
            "sudo": f"anna : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/id {k}",
            "kernel": f"device {k}",
        }[program]
        entry: dict[str, Any] = {
            "__CURSOR": f"s=51ab;i={number:x};b=77cd;m={mono:x};t={us:x};x=9f",
            "__REALTIME_TIMESTAMP": str(us),
            "__MONOTONIC_TIMESTAMP": str(mono),
            "__SEQNUM": str(number),
            "_BOOT_ID": "77cd",
            "_HOSTNAME": "web1",
            "_TRANSPORT": "syslog",
            "SYSLOG_IDENTIFIER": program,
            "MESSAGE": message,
        }
        if program != "kernel":
            entry |= {"_PID": str(800 + k % 5), "_UID": str(k % 2), "_EXE": f"/usr/sbin/{program}"}
            entry["_CMDLINE"] = f"sudo /usr/bin/id {k}" if program == "sudo" else f"/usr/sbin/{program} -D"
            entry["_SOURCE_REALTIME_TIMESTAMP"] = str(us - 30)
        lines.append(json.dumps(entry, separators=(",", ":"), ensure_ascii=False))
        if k == 30:
            lines.append('{"__CURSOR":"s=')
    return "\n".join(lines).encode() + b"\n"


def windows_log(dialect: str = "nxlog", n: int = 60) -> bytes:
    """Security and Sysmon of one host, in turn, in one of four dialects, with a torn line."""
    dice, lines, at = random.Random(8), [], float(T0)
    numbers = {"Security": 5000, "Microsoft-Windows-Sysmon/Operational": 900}
    guid = "{5770385f-c22a-43e0-bf4c-06f5698f%04x}"
    for k in range(n):
        at += dice.random() * 3 if k % 6 else 0.0005
        sysmon = bool(k % 2) or k % 12 == 6
        channel = "Microsoft-Windows-Sysmon/Operational" if sysmon else "Security"
        provider = "Microsoft-Windows-Sysmon" if sysmon else "Microsoft-Windows-Security-Auditing"
        numbers[channel] += 1 if k % 11 else 2
        image = ("C:\\Windows\\System32\\cmd.exe", "C:\\Windows\\explorer.exe", "C:\\tools\\x.exe")[k % 3]
        parent_image = ("C:\\Windows\\explorer.exe", "C:\\Windows\\System32\\cmd.exe")[k % 2]
        pid, ppid = 2000 + k, 2000 + max(k - 6, 0)
        user = "LAB\\anna" if k % 3 else "LAB\\eve"
        utc = stamp(at)
        if sysmon and k % 4 == 1:
            event, data = 1, {
                "RuleName": "-",
                "UtcTime": utc,
                "ProcessGuid": guid % pid,
                "ProcessId": pid,
                "Image": image,
                "CommandLine": f"{image} /c {k}",
                "User": user,
                "ParentProcessGuid": guid % ppid,
                "ParentProcessId": ppid,
                "ParentImage": parent_image,
                "ParentCommandLine": "explorer",
            }  # fmt: skip
        elif sysmon:
            event, data = (
                3,
                {
                    "UtcTime": utc,
                    "ProcessGuid": guid % pid,
                    "ProcessId": pid,
                    "Image": image,
                    "User": user,
                    "SourceIp": f"192.0.2.{k}",
                    "DestinationIp": f"203.0.113.{k % 7}",
                },
            )
        elif k % 4 == 0:
            event, data = (
                4688,
                {
                    "SubjectUserSid": "S-1-5-18",
                    "SubjectUserName": user,
                    "NewProcessId": f"0x{pid:x}",
                    "NewProcessName": image,
                    "ProcessId": f"0x{ppid:x}",
                    "CommandLine": f"{image} {k}",
                    "ParentProcessName": parent_image,
                },
            )
        else:
            event, data = 4624, {"TargetUserName": user, "IpAddress": f"192.0.2.{k}", "LogonType": 3, "Path": "a/b"}
        lines.append(_windows_line(dialect, at, channel, provider, numbers[channel], event, data))
        if k == 25:
            lines.append('{"EventID": 1, "torn')
    return "\n".join(lines).encode() + b"\n"


def stamp(at: float) -> str:
    whole, ms = int(at), round(at % 1 * 1000) % 1000
    return f"2024-05-01 {whole // 3600 % 24:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{ms:03d}"


def _windows_line(
    dialect: str, at: float, channel: str, provider: str, number: int, event: int, data: dict[str, Any]
) -> str:
    record: dict[str, Any]
    if dialect == "nxlog":
        text = "\r\n".join(f"{key}: {value}" for key, value in data.items())
        record = {
            "EventTime": stamp(at)[:19],
            "Hostname": "DC1.lab.local",
            "Keywords": -9223372036854775808,
            "EventID": event,
            "SourceName": provider,
            "RecordNumber": number,
            "Channel": channel,
            "Message": f"Something:\r\n{text}",
            "EventReceivedTime": stamp(at + 1)[:19],
            **data,
        }
        return json.dumps(record, separators=(",", ":"))
    if dialect == "winlogbeat":
        log = {
            "channel": channel,
            "computer_name": "DC1.lab.local",
            "event_data": data,
            "event_id": event,
            "provider_name": provider,
            "record_id": number,
            "process": {"pid": 4, "thread": {"id": 44}},
        }
        return json.dumps({"@timestamp": stamp(at).replace(" ", "T") + "Z", "winlog": log, "message": "x: y"})
    record = {
        "Event": {
            "#attributes": {"xmlns": "http://schemas.microsoft.com/win/2004/08/events/event"},
            "System": {
                "Provider": {"#attributes": {"Name": provider, "Guid": "{0}"}},
                "EventID": event,
                "Version": 2,
                "Level": 4,
                "Task": 1,
                "Opcode": 0,
                "Keywords": "0x8020000000000000",
                "TimeCreated": {"#attributes": {"SystemTime": stamp(at).replace(" ", "T") + "412Z"}},
                "EventRecordID": number,
                "Execution": {"#attributes": {"ProcessID": 4, "ThreadID": 44}},
                "Channel": channel,
                "Computer": "DC1.lab.local",
                "Security": None,
            },
            "EventData": data,
        }
    }
    if dialect == "evtx":
        header = {"EventRecordID": number, "TimeWritten": stamp(at).replace(" ", "T") + "9137Z"}
        record = {"RecordHeader": header, **record}
    return json.dumps(record, separators=(",", ":"))


SMALL: dict[str, dict[str, bytes]] = {
    "audit": {"logs/audit.log": audit_log()},
    "audit-raw": {"logs/audit.log": audit_log(enriched=False)},
    "auth": {"logs/auth.log": auth_log()},
    "auth-iso": {"logs/auth.log": auth_log("iso")},
    "auth-5424": {"logs/auth.log": auth_log("new")},
    "journal": {"logs/journal.jsonl": journal()},
    "nxlog": {"logs/sysmon.jsonl": windows_log("nxlog")},
    "winlogbeat": {"logs/sysmon.jsonl": windows_log("winlogbeat")},
    "evtx-dump": {"logs/sysmon.jsonl": windows_log("dump")},
    "evtx": {"logs/sysmon.jsonl": windows_log("evtx")},
}


def parsed(member: str, data: bytes, near_ns: int | None = NEAR) -> list[LogRow]:
    spec = spec_of_member(member) or spec_of(recognise(data[:HEAD]).log or "")
    return list(spec.rows([data], LogContext(name=member, near_ns=near_ns)))


_NUMBER = re.compile(
    r'"serial":\d+,|"(?:EventRecordID|RecordNumber|record_id)" ?: ?"?\d+"?|"__SEQNUM":"\d+"|;i=[0-9a-f]+;'
)
_DERIVED = re.compile(r'"(?:missing|part)":\d+,|"restarted":true,|"line":\d+,')
_LINE_NUMBER = re.compile(rb"(audit\([^()]*?:)\d+(\))")


def told(row: LogRow, natural: bool) -> tuple[Any, ...]:
    """What a row says of its own record: not what follows from its neighbours."""
    fields = _DERIVED.sub("", row.fields_json)
    if natural:
        fields = _NUMBER.sub("", fields)
    own_ns = row.ts_ns if row.parsed and row.timed else 0  # else it is that of the row before
    return (own_ns, row.pid, row.ppid, row.exe, row.cmdline, row.user, fields, row.parsed)


def lines_of(member: str, data: bytes) -> list[tuple[bytes, ...]]:
    return [tuple(entry.payload) for entry in form_of(member, data).split(data, NEAR).entries]


def assert_exact(
    before_logs: Mapping[str, bytes],
    logs: Mapping[str, bytes],
    origin: Mapping[str, list[int]],
    spans: Iterable[TamperSpan],
    operator: str,
    near_ns: int | None = NEAR,
) -> None:
    """The spans name every row that differs, and every gap, and nothing else."""
    spans = list(spans)
    texts = dict(as_text(member, data) for member, data in before_logs.items())
    assert sorted(logs) == sorted(texts.keys() & logs.keys() | logs.keys())
    for member, data in logs.items():
        if member not in origin:
            assert before_logs[member] == data
            assert all(span.member != member for span in spans)
            continue
        old, new, came = parsed(member, texts[member], near_ns), parsed(member, data, near_ns), origin[member]
        assert len(new) == len(came)
        # clearing a log is noted in System, which counts it
        noted = any(place < 0 and row.event_id == "104" for row, place in zip(new, came, strict=True))
        natural = operator in NATURAL or (noted and operator == "clear_log_event")
        mine = [span for span in spans if span.member == member]
        marked = [seq for span in mine for seq in span.seqs]
        assert len(marked) == len(set(marked))
        old_lines, new_lines = lines_of(member, texts[member]), lines_of(member, data)
        for seq, place in enumerate(came):
            if place < 0:
                assert seq in marked, (operator, seq, new[seq])
                assert new[seq].parsed, new[seq]
                continue
            differs = told(old[place], natural) != told(new[seq], natural)
            assert differs == (seq in marked), (operator, seq, told(old[place], natural), told(new[seq], natural))
            if not differs and not natural:
                assert old_lines[place] == new_lines[seq] or not old[place].parsed
            assert old[place].parsed == new[seq].parsed
        gone = sorted(set(range(len(old))) - set(came))
        assert all(old[place].parsed for place in gone)
        gaps = [span for span in mine if span.after_seq is not None]
        assert sum(gap.n_removed for gap in gaps) == len(gone)
        for gap in gaps:
            assert gap.after_seq is not None and gap.before_seq is not None and not gap.seqs
            low = came[gap.after_seq] if gap.after_seq >= 0 else -1
            high = came[gap.before_seq] if gap.before_seq >= 0 else len(old)
            between = [place for place in gone if low < place < high]
            assert low >= 0 or gap.after_seq == -1
            assert len(between) == gap.n_removed > 0
            times = [old[place].ts_ns for place in between]
            assert (gap.t_start_wall_ns, gap.t_end_wall_ns) == (min(times), max(times))
            assert {old[place].channel for place in between} == {gap.channel}
        for span in mine:
            assert span.kind == operator
            if span.seqs:
                times = [new[seq].ts_ns for seq in span.seqs]
                assert (span.t_start_wall_ns, span.t_end_wall_ns) == (min(times), max(times)), operator
                assert {new[seq].channel for seq in span.seqs} == {span.channel}
                assert span.n_removed == 0 and span.after_seq is None
