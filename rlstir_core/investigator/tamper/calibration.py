"""How a rule's strength becomes a score: by how often honest logs of the same kind make the rule speak as strongly.

A score of 0.5 means that of four honest files of this length one would show such a finding; rarer is higher. Few
honest rows of a kind lean on those of all kinds.
What does not belong here: rules, and which findings make a span (`spans.py`).
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from rlstir_core.investigator.tamper.finding import Finding
from rlstir_core.investigator.tamper.log_file import LogFile

_PER_FILE = 0.25  # findings in an honest file that make a score of one half
_SHORTEST = 500  # rows: short files are judged as if they had so many, so that many of them stay honest together
_PRIOR_ROWS = 20_000  # what all kinds together count for beside a kind's own rows
_UNSEEN = 0.5  # findings beyond those seen
_STEPS = 20  # strengths of a rule are kept to a twentieth
KINDS = ("export", "windows", "audit", "journal", "text")
THRESHOLD = 0.5
_FILES_LEAST = 20  # honest ones, to set the threshold of a kind by
FILES = 0.1  # of honest files may be flagged


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """What honest logs made the rules say, by kind of log."""

    rows: Mapping[str, int]
    findings: Mapping[tuple[str, str], Mapping[int, int]]  # {(kind, rule): {strength in steps: how often}}
    file_threshold: Mapping[str, float]  # from which score on a file is flagged, by kind

    def score(self, kind: str, rule: str, strength: float, rows: int) -> float:
        """How far the finding is from what honest logs of so many rows show, in (0, 1)."""
        step = _step(strength)
        mine = _at_least(self.findings.get((kind, rule), {}), step)
        every = sum(_at_least(self.findings.get((each, rule), {}), step) for each in KINDS)
        pooled = (every + _UNSEEN) / max(sum(self.rows.values()), 1)
        rate = (mine + _PRIOR_ROWS * pooled) / (self.rows.get(kind, 0) + _PRIOR_ROWS)
        return 1.0 / (1.0 + rate * max(rows, _SHORTEST) / _PER_FILE)


def kind_of(file: LogFile) -> str:
    """Which kind of log a file is: an EVTX export, other Windows events, audit, journal, or text."""
    if file.system != "windows":
        return file.system
    numbered = [(log.header_M, log.number_M) for log in file.logs]
    there = sum(int((header >= 0).sum()) for header, _ in numbered)
    anew = sum(int(((header >= 0) & (header != number)).sum()) for header, number in numbered)
    return "export" if there and anew > 0.5 * there else "windows"


def calibrated(found: Iterable[tuple[LogFile, Sequence[Finding]]]) -> Calibration:
    """The calibration that these honest files give, each with what the rules say of it."""
    rows: Counter[str] = Counter()
    findings: dict[tuple[str, str], Counter[int]] = {}
    files: dict[str, list[tuple[int, list[Finding]]]] = {}
    for file, said in found:
        kind = kind_of(file)
        rows[kind] += len(file)
        files.setdefault(kind, []).append((len(file), list(said)))
        for finding in said:
            findings.setdefault((kind, finding.rule), Counter())[_step(finding.strength)] += 1
    bare = Calibration(rows=dict(rows), findings=findings, file_threshold={})
    thresholds = {}
    for kind, each in files.items():
        if len(each) < _FILES_LEAST:
            continue
        scores = sorted(
            (max((bare.score(kind, f.rule, f.strength, n) for f in said), default=0.0) for n, said in each),
            reverse=True,
        )
        allowed = int(FILES * len(scores))
        thresholds[kind] = max(THRESHOLD, float(np.nextafter(scores[allowed], 1.0)))
    return msgspec.structs.replace(bare, file_threshold=thresholds)


@cache
def default_calibration() -> Calibration:
    """What honest public logs gave: exports, logs of whole hosts, syslog, audit logs."""
    return read_calibration(Path(__file__).with_name("honest.csv"))


def read_calibration(path: Path) -> Calibration:
    """A calibration as `write_calibration` wrote it."""
    rows: dict[str, int] = {}
    thresholds: dict[str, float] = {}
    findings: dict[tuple[str, str], dict[int, int]] = {}
    with path.open(newline="") as handle:
        for kind, rule, strength, n in csv.reader(handle):
            if rule == "rows":
                rows[kind] = int(n)
            elif rule == "file":
                thresholds[kind] = float(strength)
            elif rule != "rule":
                findings.setdefault((kind, rule), {})[_step(float(strength))] = int(n)
    return Calibration(rows=rows, findings=findings, file_threshold=thresholds)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """As lines `kind,rule,strength,n`, so that two can be compared by eye."""
    with path.open("w", newline="") as handle:
        lines = csv.writer(handle, lineterminator="\n")
        lines.writerow(("kind", "rule", "strength", "n"))
        for kind, n in sorted(calibration.rows.items()):
            lines.writerow((kind, "rows", "", n))
        for kind, threshold in sorted(calibration.file_threshold.items()):
            lines.writerow((kind, "file", repr(threshold), ""))
        for (kind, rule), steps in sorted(calibration.findings.items()):
            for step, n in sorted(steps.items()):
                lines.writerow((kind, rule, step / _STEPS, n))


def _step(strength: float) -> int:
    return int(np.floor(min(max(strength, -1e6), 1e6) * _STEPS + 1e-9))


def _at_least(steps: Mapping[int, int], step: int) -> int:
    return sum(n for each, n in steps.items() if each >= step)
