"""The members of an episode tarball: what each is called, what it holds, whether it must be there.

A log's row also names the reader of its format, so that a new log format is one line here and one file under
`hostlogs/` (docs/adding_a_parser.md). Telemetry members are those of the store's registry beside the ones here. What
does not belong here: reading any of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

META: Final = "meta.json"
LABELS: Final = "labels.jsonl"
TECHNIQUES: Final = "gt_ttp_sequence.json"
TAMPER_SPANS: Final = "gt_tamper_spans.json"
LOG_FOLDER: Final = "logs/"  # what the names of log members begin with

_STEM = r"[A-Za-z0-9][A-Za-z0-9._-]*"  # what a `*` stands for


@dataclass(frozen=True, kw_only=True)
class EpisodeMember:
    """One member of a tarball; a `*` in `name` stands for any safe name."""

    name: str
    holds: str
    required: bool = False

    def matches(self, name: str) -> bool:
        """Whether a member called `name` is this one."""
        if "*" not in self.name:
            return name == self.name
        before, _, after = self.name.partition("*")
        return re.fullmatch(re.escape(before) + _STEM + re.escape(after), name, re.ASCII) is not None


@dataclass(frozen=True, kw_only=True)
class LogMember(EpisodeMember):
    """A host log. `reader` is the module under `rlstir_core.hostlogs` that ends in the format's `SPEC`."""

    format: str
    channels: tuple[str, ...]  # of the log rows that are made of it
    reader: str

    @property
    def import_name(self) -> str:
        """What the member is called in an episode that is made of such a log."""
        return self.name.replace("*", "events")


FIXED: tuple[EpisodeMember, ...] = (
    EpisodeMember(name=META, required=True, holds="who, what and when: the episode's identity, times and free keys"),
    EpisodeMember(name=LABELS, holds="the phases, each with the time at which it begins; never a feature"),
    EpisodeMember(name="proc.jsonl", holds="the host's `/proc` of the guest's process, about 10 rows a second"),
    EpisodeMember(name="perf.jsonl", holds="hardware counters of that process"),
    EpisodeMember(name="qmp.jsonl", holds="the hypervisor's block and network counters, about a row per second"),
    EpisodeMember(name="netflow.jsonl", holds="flows on the bridge, a row per flow"),
    EpisodeMember(name="guest.jsonl", holds="what an agent inside the guest counts"),
    EpisodeMember(name=TECHNIQUES, holds="the truth: techniques, with their times and processes"),
    EpisodeMember(name=TAMPER_SPANS, holds="the truth: stretches in which a log was tampered with"),
)
# Where two formats recognise the same file, the one that stands first here has it.
LOGS: tuple[LogMember, ...] = (
    LogMember(
        name="logs/journal.jsonl",
        holds="the systemd journal, as `journalctl -o json` or `-o export` prints it",
        format="journald",
        channels=("journald",),
        reader="journald.parser",
    ),
    LogMember(
        name="logs/audit.log",
        holds="the Linux audit log",
        format="audit",
        channels=("auditd",),
        reader="auditd.parser",
    ),
    LogMember(
        name="logs/auth.log",
        holds="syslog lines",
        format="syslog",
        channels=("auth", "auditd"),  # audit records that syslog carries are events of their own
        reader="syslog.parser",
    ),
    LogMember(
        name="logs/sysmon.jsonl",
        holds="Windows events as JSON",
        format="windows_json",
        channels=("sysmon", "evtx"),
        reader="windows.json_events",
    ),
    LogMember(
        name="logs/*.evtx",
        holds="Windows event logs as files",
        format="evtx",
        channels=("sysmon", "evtx"),
        reader="windows.evtx",
    ),
)


def is_known(name: str) -> bool:
    """Whether a member called `name` belongs in an episode, whatever the store's registry says."""
    return any(member.matches(name) for member in (*FIXED, *LOGS))


def log_member(name: str) -> LogMember | None:
    """The log that a member called `name` is; None where it is no log."""
    return next((member for member in LOGS if member.matches(name)), None)


def log_of(log_format: str) -> LogMember:
    """The member that logs of a format become; KeyError where no line above names the format."""
    for member in LOGS:
        if member.format == log_format:
            return member
    raise KeyError(log_format)
