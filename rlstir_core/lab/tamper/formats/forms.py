"""The form of each log format: how a log is cut into records, changed and written again.

What does not belong here: any format's own ways (one module per format) and operators.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rlstir_core.contract.members import log_member, log_of
from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.opening.recognise import HEAD, recognise
from rlstir_core.lab.tamper.formats.audit_form import AuditForm
from rlstir_core.lab.tamper.formats.journal_form import JournalForm
from rlstir_core.lab.tamper.formats.syslog_form import SyslogForm
from rlstir_core.lab.tamper.formats.windows_form import WindowsForm, evtx_lines
from rlstir_core.lab.tamper.records.entry import Entry, LoggedProcess
from rlstir_core.lab.tamper.records.pieces import SplitLog


class Form(Protocol):
    """What every format can do."""

    name: str
    notices: frozenset[str]

    def split(self, data: bytes, near_ns: int | None) -> SplitLog:
        """The log's lines and records; ConfigError where the log cannot be cut."""

    def order(self, pieces: Sequence[bytes]) -> list[list[int]] | None:
        """The lines of each row that the parser would give; None where rows come as records stand."""

    def render(self, entry: Entry) -> Sequence[bytes]:
        """The lines of a record, with its edits carried out."""

    def values(self, entry: Entry) -> dict[str, str]:
        """The fields that may be replaced."""

    def process(self, entry: Entry) -> LoggedProcess:
        """The process that the record speaks of."""

    def words(self, entries: Sequence[Entry]) -> dict[str, object]:
        """What the log says of the programs that write it, for what they would write next."""

    def notice(self, what: str, like: Entry, ts_ns: int, number: int, **words: object) -> Entry | None:
        """The record that the host itself writes when something happens."""


FORMS: dict[str, Form] = {
    "audit": AuditForm(),
    "syslog": SyslogForm(),
    "journald": JournalForm(),
    "windows_json": WindowsForm(),
    "evtx": WindowsForm(),  # nobody writes EVTX: it becomes JSON lines
}


def form_of(member: str, data: bytes) -> Form:
    """The form of a log by its member name, else by its content; ConfigError where it is no log."""
    log = log_member(member)
    kind = log.format if log is not None else recognise(data[:HEAD]).log
    form = FORMS.get(kind or "")
    if form is None:
        raise ConfigError(f"it is no log whose records can be changed; name one of {', '.join(FORMS)}")
    return form


def as_text(member: str, data: bytes) -> tuple[str, bytes]:
    """The log as text: EVTX as JSON lines, under the member name that such lines have."""
    if recognise(data[:HEAD]).log != "evtx":
        return member, data
    inside = log_of("evtx").matches(member)
    named = log_of("windows_json").name if inside else f"{member.removesuffix('.evtx')}.jsonl"
    return named, evtx_lines(data)
