"""The shapes of what is said of logs: the content of `rlstir investigate --json`, and of it with `--policy`.

What does not belong here: how any of it is found, and how it is shown.
"""

from __future__ import annotations

import msgspec


class RowSaid(msgspec.Struct, frozen=True, kw_only=True):
    """One log row that speaks for something."""

    log: str  # the log file
    seq: int  # its place there, from 0
    t_wall_ns: int
    time: str  # the same in UTC
    text: str  # its command, or its message
    words: tuple[str, ...] = ()  # that weigh most
    p_attack: float | None = None


class TechniqueSaid(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one technique in one log."""

    technique: str
    name: str  # empty where nobody tells it
    tactics: tuple[str, ...]
    score: float
    named: bool
    by: str  # `knowledge` or `encoder`
    rows: tuple[RowSaid, ...]


class SpanSaid(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch that looks tampered with: from one row to another, or what is missing between them."""

    log: str
    channel: str
    kind: str
    gap: bool
    after_seq: int  # -1: the file begins there
    before_seq: int  # -1: the file ends there
    t_start_wall_ns: int
    t_end_wall_ns: int
    time: str  # of its start, in UTC
    score: float
    reasons: tuple[str, ...]

    @property
    def place(self) -> str:
        """Which rows of its log it is, or between which something is missing."""
        if self.gap and self.after_seq < 0:
            return f"before row {self.before_seq}"
        if self.gap and self.before_seq < 0:
            return f"after row {self.after_seq}"
        if self.after_seq == self.before_seq:
            return f"row {self.after_seq}"
        rows, and_ = ("between rows", "and") if self.gap else ("rows", "to")
        return f"{rows} {self.after_seq} {and_} {self.before_seq}"


class LogSaid(msgspec.Struct, frozen=True, kw_only=True):
    """One log file, or the logs of one recorded episode, which are read together."""

    name: str
    recording: bool
    n_files: int
    rows: dict[str, int]  # by channel
    hosts: dict[str, int]  # rows by host
    t_first_wall_ns: int | None
    t_last_wall_ns: int | None
    unparsed: int
    unparsed_at: tuple[str, ...]
    left_out: int  # rows over the bound of one episode
    techniques: tuple[TechniqueSaid, ...]  # the likeliest first; those of the encoder before those of the knowledge
    tactics: dict[str, float]  # the likeliest first
    spans: tuple[SpanSaid, ...]
    flagged: tuple[str, ...]  # log files that look tampered with as a whole

    @property
    def n_rows(self) -> int:
        return sum(self.rows.values())


class TechniqueFound(msgspec.Struct, frozen=True, kw_only=True):
    """One technique in all logs that it is named in."""

    technique: str
    name: str
    tactics: tuple[str, ...]
    logs: int  # in which it is named
    score: float  # the highest
    by: str  # who gave that
    log: str  # where
    row: RowSaid | None  # the one that speaks loudest there


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """How likely there is an attack in all of it together; `p` is None where that cannot be told."""

    p: float | None
    why: str  # who says so, or why nobody can


class Inquiry(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is said."""

    format: str = "rlstir-inquiry-1"
    paths: tuple[str, ...]
    recipe: str  # whose encoder spoke; empty where none did
    n_logs: int
    n_rows: int
    rows: dict[str, int]
    hosts: dict[str, int]
    t_first_wall_ns: int | None
    t_last_wall_ns: int | None
    read: tuple[str, ...]  # what was not read, or not wholly, a sentence each
    techniques: tuple[TechniqueFound, ...]  # those that are named, in most logs first
    n_named: int  # logs in which any is
    sayable: tuple[str, ...]  # every technique that could have been named
    spans: tuple[SpanSaid, ...]  # of all logs, the highest scores first
    n_flagged: int  # log files
    n_judged: int  # of so many
    risk: Risk
    attack_rows: tuple[RowSaid, ...]  # that look most like an attack
    lacks: tuple[str, ...]  # what could not be judged, and why
    logs: tuple[LogSaid, ...]


class Believed(msgspec.Struct, frozen=True, kw_only=True):
    """What is believed at some moment of an investigation, as probabilities."""

    attack: float
    tampered: float
    techniques: dict[str, float]  # the likeliest first


class QueryAsked(msgspec.Struct, frozen=True, kw_only=True):
    """One query, and what it revealed."""

    query: str
    sentence: str  # what it shows, for people
    about: str  # a kind of entity
    entity: str  # what the logs call it
    cost: float
    spent: float  # with it
    before: Believed
    after: Believed
    changed: dict[str, tuple[float, float]]  # techniques, before and after: those that it changed most
    rows: tuple[RowSaid, ...]  # that were not seen before, in the order in which they were shown


class CaseBegun(msgspec.Struct, frozen=True, kw_only=True):
    """An investigation that begins: what those hear who listen to it."""

    name: str
    host: str
    alert: RowSaid
    first: Believed  # by the alert alone


class CaseAsked(msgspec.Struct, frozen=True, kw_only=True):
    """One investigation: of a recorded episode, or of the logs of a host."""

    name: str
    host: str
    recording: bool
    n_rows: int
    alert: RowSaid
    first: Believed  # by the alert alone
    queries: tuple[QueryAsked, ...]
    spent: float
    n_seen: int  # rows, with the alert
    ended: str  # why it ended
    declared_by: str  # whose probabilities the verdict's are
    verdict: Believed
    spans: tuple[SpanSaid, ...]  # that look tampered with and of which a row was seen


class Questioning(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was asked: the content of `rlstir investigate --policy P --json`."""

    format: str = "rlstir-questioning-1"
    paths: tuple[str, ...]
    recipe: str  # whose belief and policies
    policy: str
    budget: float  # of each case
    n_learnt: int  # episodes that belief and policies learnt from
    read: tuple[str, ...]  # what was not read, or not wholly, a sentence each
    names: dict[str, str]  # of the techniques in it
    cases: tuple[CaseAsked, ...]
