"""Suspected stretches of an episode's log rows, with their reasons, a likelihood per row and a flag per file.

`tamper_of(table)` is the way in. What does not belong here: single rules, and how a strength becomes a score.
"""

# N rows of the table
from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa

from rlstir_core.arrays import Floats, Ints
from rlstir_core.investigator.tamper.calibration import THRESHOLD, Calibration, default_calibration, kind_of
from rlstir_core.investigator.tamper.clock_rules import back_steps, header_clocks
from rlstir_core.investigator.tamper.finding import Finding
from rlstir_core.investigator.tamper.log_file import LogFile, log_files
from rlstir_core.investigator.tamper.notice_rules import notices
from rlstir_core.investigator.tamper.number_rules import header_gaps, id_gaps
from rlstir_core.investigator.tamper.process_rules import processes
from rlstir_core.investigator.tamper.text_rules import copies, empty_commands

RULES = (header_gaps, id_gaps, header_clocks, back_steps, notices, empty_commands, copies, processes)
_REASONS = 4  # of a span
_FEW = 3  # rows of a stretch that two rules may have marked in parts
_NEAR = 12  # rows between findings of one rule that are one stretch


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of one log that looks tampered with.

    It reaches from the row `after_seq` to the row `before_seq`, both among it. In a gap something is missing between
    them, and -1 says that the file begins or ends there; else these rows and those between were altered or forged.
    """

    member: str
    channel: str
    log: str
    kind: str
    gap: bool
    after_seq: int
    before_seq: int
    t_start_ns: int
    t_end_ns: int
    score: float
    reasons: tuple[str, ...]


class FileFlag(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a log file as a whole looks tampered with."""

    member: str
    kind: str  # of log
    score: float
    flagged: bool


class Tampering(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules say of one episode: spans from the highest score down, a score per row of the table."""

    spans: tuple[Suspicion, ...]
    p_tamper_N: Floats
    files: tuple[FileFlag, ...]


def findings(file: LogFile) -> list[Finding]:
    """What every rule says of a file."""
    return [finding for rule in RULES for finding in rule(file)]


def tamper_of(table: pa.Table, calibration: Calibration | None = None, *, least: float = THRESHOLD) -> Tampering:
    """Where these log rows look tampered with; spans with a score below `least` are left out, rows keep theirs."""
    calibration = calibration or default_calibration()
    p_N = np.zeros(len(table))
    spans: list[Suspicion] = []
    flags: dict[str, FileFlag] = {}
    for file in log_files(table):
        found = suspicions(file, findings(file), calibration)
        for score, first, last, _ in found:
            rows_N = file.row_N[max(first, 0) : min(last, len(file) - 1) + 1]
            p_N[rows_N] = np.maximum(p_N[rows_N], score)
        kind = kind_of(file)
        best = max((score for score, *_ in found), default=0.0)
        if file.member not in flags or best > flags[file.member].score:
            flagged = best >= calibration.file_threshold.get(kind, THRESHOLD)
            flags[file.member] = FileFlag(member=file.member, kind=kind, score=best, flagged=flagged)
        spans += [_span(file, score, first, last, why) for score, first, last, why in found if score >= least]
    spans.sort(key=lambda span: (-span.score, span.member, span.after_seq))
    return Tampering(spans=tuple(spans), p_tamper_N=p_N, files=tuple(flags.values()))


_Stretch = tuple[float, int, int, list[tuple[float, Finding]]]  # score, first and last place, what speaks for it


def rows_of_spans(table: pa.Table, spans: Sequence[Suspicion]) -> list[Ints]:
    """The rows of each stretch, by their place in the table; of a gap those at its ends."""
    found = []
    member_N, seq_N = np.array(table["member"].to_pylist()), table["seq"].to_numpy()
    for each in spans:
        low, high = each.after_seq, each.before_seq if each.before_seq >= 0 else np.inf
        inside_N = (member_N == each.member) & (seq_N >= low) & (seq_N <= high)
        if each.gap and each.after_seq >= 0 and each.before_seq >= 0:  # what lies between is not there
            inside_N &= (seq_N == low) | (seq_N == high)
        found.append(np.flatnonzero(inside_N))
    return found


def suspicions(file: LogFile, found: Sequence[Finding], calibration: Calibration) -> list[_Stretch]:
    """Stretches of findings, each with its score: findings that concern the same rows are one stretch."""
    kind, n = kind_of(file), len(file)
    scored = [(calibration.score(kind, each.rule, each.strength, n), each) for each in found]
    stretches: list[_Stretch] = []
    for score, finding in sorted(scored, key=lambda each: (-each[0], each[1].rows)):
        first, last = finding.rows
        for place, (best, low, high, why) in enumerate(stretches):
            if _one_stretch(finding, (first, last), why[0][1], (low, high)):
                lower, higher = min(low, first), max(high, last)
                if why[0][1].rule != finding.rule and higher - lower >= _FEW:
                    lower, higher = low, high
                stretches[place] = best, lower, higher, [*why, (score, finding)]
                break
        else:
            stretches.append((score, first, last, [(score, finding)]))
    return stretches


def _one_stretch(one: Finding, rows: tuple[int, int], other: Finding, stretch: tuple[int, int]) -> bool:
    if one.log != other.log and one.rows != other.rows:
        return False
    apart = max(rows[0] - stretch[1], stretch[0] - rows[1])
    if one.rule == other.rule:
        return one.rule in _GROWS and apart <= _NEAR
    return apart <= 0


_GROWS = frozenset({"header-clock", "header-clock-between", "header-clock-own", "time-back", "created-twice"})


def _span(file: LogFile, score: float, first: int, last: int, why: list[tuple[float, Finding]]) -> Suspicion:
    main = why[0][1]
    gap = main.gap and (first, last) == main.rows
    low, high = max(first, 0), min(last, len(file) - 1)
    seq_N, ts_N = file.seq_N, file.ts_N
    return Suspicion(
        member=file.member,
        channel=file.channel[low],
        log=main.log,
        kind=main.kind,
        gap=gap,
        after_seq=-1 if gap and main.first < 0 else int(seq_N[low]),
        before_seq=-1 if gap and main.last >= len(file) else int(seq_N[high]),
        t_start_ns=int(min(ts_N[low], ts_N[high])),
        t_end_ns=int(max(ts_N[low], ts_N[high])),
        score=score,
        reasons=tuple(dict.fromkeys(each.reason for _, each in why))[:_REASONS],
    )
