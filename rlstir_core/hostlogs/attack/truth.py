"""The ground truth of an episode: which techniques ran when and in which processes, which stretches were tampered with.

A tarball's own words, so hostile: what breaks the form is dropped and counted. What does not belong here: using
the truth as a feature, which nothing may.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.attack.techniques import current_id, tactics_of
from rlstir_core.ids import is_safe

MAX_BYTES = 4 << 20
_MOST = 100_000
_MEMBER_CHARS = 255
_LAST = 2**63 - 1
_Seq = Annotated[int, msgspec.Meta(ge=0, le=_LAST)]
_Border = Annotated[int, msgspec.Meta(ge=-1, le=_LAST)]


class TechniqueSpan(msgspec.Struct, frozen=True, kw_only=True):
    """A technique that ran; no pids means all processes. Where only a tactic is known, the technique is empty."""

    technique: str
    t_start_wall_ns: int
    t_end_wall_ns: int
    tactic: str = ""
    pids: tuple[int, ...] = ()


class TamperSpan(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stretch in which a log channel was tampered with, and perhaps which rows of which log file that concerns.

    Where rows are named (`seqs`, `after_seq`, `before_seq`: places in the file), exactly those are meant; else all
    rows of the channel in that time.
    """

    t_start_wall_ns: int
    t_end_wall_ns: int
    channel: str
    kind: str
    n_removed: int = 0
    member: str = ""  # the log file; empty where the channel alone says it
    seqs: tuple[_Seq, ...] = ()  # rows that were altered or forged
    after_seq: _Border | None = None  # of a removal: the row before the gap, -1 where none is left
    before_seq: _Border | None = None  # the row behind it

    @property
    def places(self) -> tuple[int, ...] | None:
        """The rows that are meant; None where time and channel say it."""
        if not self.seqs and self.after_seq is None and self.before_seq is None:
            return None
        borders = [seq for seq in (self.after_seq, self.before_seq) if seq is not None and seq >= 0]
        return (*self.seqs, *borders)


class LogTruth(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an episode's logs; `n_bad` entries broke the form."""

    techniques: tuple[TechniqueSpan, ...] = ()
    spans: tuple[TamperSpan, ...] = ()
    n_bad: int = 0

    @property
    def tactics(self) -> tuple[str, ...]:
        """The tactics that the truth names itself, by their names of now."""
        said = {tactic for span in self.techniques for tactic in tactics_of(span.tactic)}
        return tuple(sorted(said))


def read_truth(ttp: bytes | None, tamper: bytes | None) -> LogTruth:
    """The truth in the members `gt_ttp_sequence.json` and `gt_tamper_spans.json`; either may be absent."""
    techniques, bad_techniques = _read(ttp, TechniqueSpan, _technique)
    spans, bad_spans = _read(tamper, TamperSpan, _span)
    return LogTruth(techniques=tuple(techniques), spans=tuple(spans), n_bad=bad_techniques + bad_spans)


def _read(raw: bytes | None, kind: Any, check: Any) -> tuple[list[Any], int]:
    if raw is None:
        return [], 0
    try:
        entries = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return [], 1
    found, bad = [], max(0, len(entries) - _MOST)
    for entry in entries[:_MOST]:
        try:
            found.append(check(msgspec.json.decode(entry, type=kind)))
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ConfigError):
            bad += 1
    return found, bad


def _technique(span: TechniqueSpan) -> TechniqueSpan:
    if span.t_end_wall_ns < span.t_start_wall_ns:
        raise ConfigError("it ends before it starts")
    if not span.technique and tactics_of(span.tactic):
        return span
    return msgspec.structs.replace(span, technique=current_id(span.technique))


def _span(span: TamperSpan) -> TamperSpan:
    if span.t_end_wall_ns < span.t_start_wall_ns or not is_safe(span.kind) or not is_safe(span.channel):
        raise ConfigError("no span")
    if len(span.member) > _MEMBER_CHARS or not span.member.isprintable():
        raise ConfigError("no name of a log file")
    return span
