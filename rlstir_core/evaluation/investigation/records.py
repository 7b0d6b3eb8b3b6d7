"""The shapes of what is said of the encoder and of what stands beside it: the content of `encoder_eval.json`.

What does not belong here: how any of it is computed (`figures.py`).
"""

from __future__ import annotations

from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import Record

ENCODER = "encoder"
KNOWLEDGE = "knowledge"  # public technique texts alone
HIT_RANKS = (1, 3, 5)


class TechniqueScores(Record, frozen=True, kw_only=True):
    """What one model's techniques and risks of the test episodes are worth."""

    name: str  # `encoder`, or a baseline
    threshold: float | None  # from which a technique is named, chosen on validation; None where nothing is named
    micro_f1: Estimate
    new_host: Estimate  # the same, with an interval for hosts like these
    parent_f1: Estimate  # with sub-techniques rolled up
    hit_at: dict[str, Estimate]  # the share of episodes with a technique of which one stands that high
    named: Estimate  # the share of episodes in which anything is named
    risk_aupr: Estimate


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
    n_tags_outside: int  # outside the label space: missed by every model
    prevalence: float | None  # of attacks among the test episodes of which somebody says what they are
    models: tuple[TechniqueScores, ...]
    paired: dict[str, Estimate]  # micro F1 of the encoder minus that of a baseline, on the same resamples
    lacks: tuple[str, ...]  # what could have helped and was not there
    knowledge_sha256: str
    tokenizer_sha256: str
    checkpoint_sha256: str
    pieces: int
    n_parameters: int
    selected_on: str = "validation"
