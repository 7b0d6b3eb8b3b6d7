"""What a leakage check is: its name, what it asks, its figure and whether that is within its bar.

A code location lists the checks in every process, so what is here loads no models. What does not belong here: which
figure is within which bar (`gates.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

GATES = {
    "template_overlap": "share of the templates in attack events that occur in benign episodes",
    "word_stump": "AUROC of the best single word, attack against benign, on any system",
    "scenario_bag": "macro F1 over scenarios of a bag of templates with logistic regression",
    "metadata_only": "AUROC, attack against benign, of counts, durations, host, users, pids and sizes",
    "look_alikes": "share of benign episodes with honest work that looks like an attack",
    "naive_tamper_rule": "share of honest episodes that a gap in ids or a step back in time flags",
}
PRINTED = {"chainsaw_rule": "share of honest episodes that a gap in header ids or 30 quiet minutes flags"}  # no bar


@dataclass(frozen=True, kw_only=True)
class Figure:
    """An estimate with its 95 % interval over episodes; `what` names what it was found in."""

    value: float
    lo: float
    hi: float
    what: str = ""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """One check; `judged` is False where there is too little to judge by, and `figure` None where there is nothing."""

    name: str
    asks: str
    bar: str
    figure: Figure | None
    n: int
    judged: bool
    passed: bool
    detail: str = ""

    @property
    def sentence(self) -> str:
        """The figure and its bar in one phrase."""
        figure = self.figure
        value = "untested" if figure is None else f"{figure.value:.3f} [{figure.lo:.3f}, {figure.hi:.3f}]"
        return f"{self.name} is {value} where {self.bar} was wanted ({self.asks}, {self.n} episodes)"
