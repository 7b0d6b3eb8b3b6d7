"""The shapes of what is said of policies: the content of `investigation_eval.json`.

What does not belong here: how any of it is computed (`judging.py`).
"""

# ruff: noqa: RUF012 - msgspec gives every instance its own empty dict
from __future__ import annotations

from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import Record

PPO, NO_QUERY, ALL_AT_ONCE = "ppo", "no_query", "all_at_once"
FIXED_ORDER, LEARNED_GREEDY, GREEDY, PLAYBOOK = "fixed_order", "learned_greedy", "greedy", "playbook"
EVIDENCE_ORACLE, LABEL_ORACLE = "evidence_oracle", "label_oracle"
AGENT = "agent"  # somebody else's, `exec:COMMAND`
ORACLES = (EVIDENCE_ORACLE, LABEL_ORACLE)  # they choose with labels: bars, not rivals
STEPS = (5, 10, 20)  # K of TTD@K and Cost@K
NO_ROOM = 0.80  # of the evidence oracle's span: where a rival without RL gets as far, nothing is left to show


class Alarm(Record, frozen=True, kw_only=True):
    """An alarm is a probability of an attack of at least the threshold at any step; without one the note says why."""

    fpr: float | None  # of the maximum over steps, on validation
    threshold: float | None
    n_benign: int  # validation episodes
    note: str = ""


class Thresholds(Record, frozen=True, kw_only=True):
    """What validation chose for one policy; None where validation could not."""

    area: float | None  # of the attack, for the largest area under macro F1 against cost
    stop: float | None  # of the attack, for the best macro F1 at the policy's own end
    technique: float | None
    tampered: float | None
    alarm: Alarm
    chosen_on: str = "validation"


class Curve(Record, frozen=True, kw_only=True):
    """A figure at some costs, with its band; `lo` and `hi` are empty where there is none."""

    cost: tuple[float, ...]
    value: tuple[float, ...]
    lo: tuple[float, ...] = ()
    hi: tuple[float, ...] = ()


class QueryUse(Record, frozen=True, kw_only=True):
    """How one policy used one query."""

    query: str
    share: Estimate  # of cases in which it was asked
    mean_step: float  # of its first time there
    cost: float  # of one time, on average
    brought: float | None  # the share of these cases, among attacks, in which it revealed a technique's first row


class PolicyFigures(Record, frozen=True, kw_only=True):
    """What one policy is worth; a share of the span is 0 for no query and 1 for the evidence oracle."""

    seeds: tuple[int, ...]
    f1_cost_auc: Estimate
    f1_span_share: Estimate
    f1_at_budget: Estimate
    coverage_cost_auc: Estimate
    coverage_span_share: Estimate
    coverage_at_budget: Estimate
    equal_f1_cost: Estimate  # to reach the F1 of asking everything, as a share of what that costs
    mean_cost: Estimate  # at the policy's own end, and so the next two
    f1_at_stop: Estimate
    coverage_at_stop: Estimate
    mean_queries: Estimate
    risk_aupr: Estimate
    brier: Estimate
    ttp_f1: Estimate
    tamper_f1: Estimate
    tamper_span_f1: Estimate
    ttd_at: dict[str, Estimate]
    cost_at: dict[str, Estimate]
    detected_at: dict[str, Estimate]
    false_alarms: Estimate  # the share of benign test episodes that raised one
    thresholds: Thresholds
    curve_f1: Curve
    curve_coverage: Curve
    queries: tuple[QueryUse, ...] = ()


class Against(Record, frozen=True, kw_only=True):
    """The policy that is spoken of against another, on the same resamples; p are Holm's, over the rivals of an area."""

    f1_cost_auc: Estimate
    coverage_cost_auc: Estimate
    f1_ratio: Estimate
    coverage_ratio: Estimate
    p_f1: float | None = None
    p_coverage: float | None = None


class HeadroomRow(Record, frozen=True, kw_only=True):
    """One policy on validation, with its shares of the evidence oracle's span above no query."""

    policy: str
    f1_cost_auc: float | None
    coverage_cost_auc: float | None
    f1_share: float | None
    coverage_share: float | None


class Headroom(Record, frozen=True, kw_only=True):
    """Whether there is anything that reinforcement learning could show here, by validation alone.

    `f1_room` and `coverage_room` are None where no oracle or no rival was run.
    """

    rows: tuple[HeadroomRow, ...]
    f1_room: bool | None
    coverage_room: bool | None
    n_episodes: int
    n_hosts: int


class ToldStep(Record, frozen=True, kw_only=True):
    """One step of an investigation in words."""

    said: str  # the question's sentence; the alert's at step 0
    cost: float
    n_revealed: int
    rows: tuple[str, ...]  # some of what it revealed
    found: tuple[str, ...]  # techniques of which it revealed the first row
    p_before: float | None
    p_after: float


class ToldCase(Record, frozen=True, kw_only=True):
    """One investigation told step by step; which one, a rule decides."""

    kind: str  # found, missed, benign
    rule: str
    policy: str
    episode_id: str
    host: str
    attack: bool
    called: bool  # an attack, by the threshold for the policy's own end
    p_end: float
    threshold: float | None
    cost: float
    steps: tuple[ToldStep, ...]
    further_steps: int  # that are not told
    named: tuple[str, ...]
    called_tampered: bool | None  # None without a threshold
    tampered: bool
    carried: tuple[str, ...]


class InvestigationEvaluation(Record, frozen=True, kw_only=True):
    """What stands in `investigation_eval.json`."""

    recipe: str
    budget: float
    n_test_episodes: int
    n_test_attacks: int
    n_test_hosts: int
    n_validation_episodes: int
    n_validation_hosts: int
    n_to_find: int  # techniques of test episodes with a labelled row
    prevalence: float | None  # of attacks: the floor of the average precision of risks
    floor_f1: float | None  # of calling everything the commoner of attack and not
    speaks_of: str  # of what intervals speak
    about: str  # the policy that the verdict and the differences speak of
    chosen_by: str  # what chose it
    policies: dict[str, PolicyFigures]
    paired: dict[str, Against]
    ablations: dict[str, Against] = {}
    ablation_policies: dict[str, str] = {}  # which policy each of them is
    headroom: Headroom
    stories: tuple[ToldCase, ...] = ()
    draws: int
    seed: int
    synthetic: bool = False
    input_sha256: str = ""
    split_sha256: str = ""


class AgentJudged(Record, frozen=True, kw_only=True):
    """What somebody else's agent is worth, and the policy that the report speaks of against it."""

    command: str
    recipe: str
    about: str  # that policy
    n_test_episodes: int
    n_test_hosts: int
    budget: float
    agent: PolicyFigures
    policies: dict[str, PolicyFigures]  # all others, as they were judged before
    against: Against  # that policy minus the agent
