"""What an audit says: a verdict a check, one sentence with its figures, and of what it speaks.

What does not belong here: how it is written down (`writing/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from rlstir_core.evaluation.stats.intervals import Estimate

Judgement = Literal["ok", "warn", "fail", "not checked"]
SHOWN = 5  # examples of what a finding speaks of


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    verdict: Judgement
    sentence: str
    figures: dict[str, Estimate] = {}
    about: str = ""  # what the examples are: test episodes, rows, hosts
    n_about: int = 0
    examples: tuple[str, ...] = ()


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was looked at and found."""

    predictions: str
    split: str
    episodes: str | None
    n_rows: int
    n_test_rows: int
    n_test_episodes: int
    classes: tuple[str, ...]
    decided_by: str
    read_as: dict[str, str]  # what each column that was read was taken for
    not_used: tuple[str, ...]
    macro_f1: Estimate
    accuracy: Estimate
    checks: tuple[Checked, ...]

    def with_verdict(self, verdict: Judgement) -> tuple[Checked, ...]:
        return tuple(each for each in self.checks if each.verdict == verdict)

    @property
    def failed(self) -> bool:
        return bool(self.with_verdict("fail"))


def not_checked(check: str, why: str) -> Checked:
    return Checked(check=check, verdict="not checked", sentence=f"Not checked, because {why}.")


def said(each: Estimate, form: str = ".3f") -> str:
    """The figure and its interval, as a part of a sentence."""
    if each.value is None:
        return f"unknown ({each.note})"
    if each.lo is None or each.hi is None:
        return f"{each.value:{form}} (no interval: {each.note})"
    return f"{each.value:{form}} [{each.lo:{form}}, {each.hi:{form}}]"


def counted(n: int, noun: str, plural: str = "") -> str:
    """`1 episode`, `2 episodes`."""
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"


def some(names: Sequence[str], n: int) -> str:
    """The first names in a sentence, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {n - 3:,} more" if n > 3 else "")
