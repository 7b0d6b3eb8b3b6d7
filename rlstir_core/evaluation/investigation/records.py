"""The shapes of what is said of the encoder and of what stands beside it: the content of `encoder_eval.json`.

What does not belong here: how any of it is computed (`judging.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.investigation.tamper_figures import TamperScores
from rlstir_core.evaluation.investigation.technique_figures import CoveragePoint, PartedScores, TacticScores
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import Record

ENCODER, TWO_STAGES = "encoder", "two-linear-stages"
HIT_RANKS = (1, 3, 5)


class TechniqueScores(Record, frozen=True, kw_only=True):
    """What one model's techniques of the test episodes are worth."""

    name: str  # `encoder`, or a baseline
    micro_f1: Estimate
    new_host: Estimate  # the same, with an interval for hosts like these
    parent_f1: Estimate  # with sub-techniques rolled up
    parts: PartedScores  # techniques that the training saw, and others
    hit_at: dict[str, Estimate]  # the share of episodes with a technique of which one stands that high
    named: Estimate  # the share of episodes in which anything is named
    coverage: tuple[CoveragePoint, ...]  # how often the first is right, of the surest episodes
    calibration: Estimate  # how far the score of the first lies from how often it is right
    tactics: TacticScores | None  # of models that say tactics


class RiskScores(Record, frozen=True, kw_only=True):
    """What one model's risks of recordings are worth, and how much it says of their rows."""

    name: str
    risk_aupr: Estimate
    risk_auroc: Estimate
    row_ap: Estimate | None  # of models that speak of rows
    row_auroc: Estimate | None


class TamperRows(Record, frozen=True, kw_only=True):
    """How well one model ranks rows by whether they were tampered with."""

    name: str
    row_ap: Estimate


class SigmaUse(Record, frozen=True, kw_only=True):
    """Which of the imported Sigma rules stand beside the encoder."""

    rules: int
    used: int
    unused: tuple[str, ...]  # how many, and why: the first five reasons
    pysigma: str  # its version


class EncoderEvaluation(Record, frozen=True, kw_only=True):
    """What stands in `encoder_eval.json`."""

    recipe: str
    input_sha256: str
    split_sha256: str
    made_with: dict[str, str | int]  # what two recipes must have in common to stand side by side
    synthetic: bool
    n_train_episodes: int
    n_validation_episodes: int
    n_test_episodes: int
    n_test_hosts: int
    n_with_technique: int  # test episodes
    n_tags: int  # techniques that test episodes carry, all in all
    n_tags_unseen: int  # that no episode it was trained on carries
    n_tags_outside: int  # outside the label space
    prevalence: float | None  # of attacks among the test episodes of which somebody says what they are
    row_prevalence: float | None  # of attack rows among theirs
    models: tuple[TechniqueScores, ...]
    risks: tuple[RiskScores, ...]
    tamper: tuple[TamperScores, ...]  # empty where no test episode was tampered with
    tamper_rows: tuple[TamperRows, ...]
    tamper_prevalence: float | None
    paired: dict[str, Estimate]  # micro F1 of the encoder minus that of a baseline, on the same resamples
    paired_risk: dict[str, Estimate]  # AUROC of the risk, the same way
    paired_rows: dict[str, Estimate]  # average precision of rows
    paired_spans: dict[str, Estimate]  # F1 of tamper spans by our rules minus that of others
    files_by: str  # what named the techniques of imported files
    sigma: SigmaUse | None  # None where none were matched
    lacks: tuple[str, ...]  # what could have helped and was not there
    unseen_logs: tuple[str, ...]  # log files of the test side of a kind that no episode of the train side has
    knowledge_sha256: str
    tokenizer_sha256: str
    checkpoint_sha256: str
    pieces: int
    n_parameters: int
    started: bool = False  # training began with an encoder that had learnt from the fold that chooses
    selected_on: str = "validation"
