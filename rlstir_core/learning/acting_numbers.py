"""Numbers that decide how investigating is learnt: PPO, and the cases and budget of everybody who acts.

What does not belong here: presets by machine size (`presets.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from rlstir_core.errors import ConfigError
from rlstir_core.learning.bounds import PRECISIONS, between


@dataclass(frozen=True, kw_only=True)
class PpoNumbers:
    """Proximal policy optimisation; where 0 switches something off, that stands beside it."""

    steps: int = 200_000  # decisions, over all lanes and devices
    rollout: int = 32  # steps of every lane between two updates
    batch: int = 256  # decisions of one step of the optimiser
    epochs: int = 4  # passes over a rollout
    learning_rate: float = 2e-3
    anneal: bool = True  # the learning rate falls to 0 over the training
    anneal_clip: bool = False  # and so does the clipping
    discount: float = 1.0  # of later rewards; 1 is what the shaping of rewards needs
    trace: float = 0.95  # GAE's lambda
    clip: float = 0.2  # of the ratio of probabilities
    clip_value: float = 0.0  # of a value's change; 0: not clipped
    entropy: float = 0.01  # weight of the policy's entropy
    value: float = 0.5  # weight of the value's squared error
    max_gradient: float = 0.5  # norm of all gradients together
    normalise: bool = True  # advantages, over a batch
    stop_at_kl: float = 0.0  # mean divergence at which an update ends early; 0: never
    accumulate: int = 1  # parts that a batch is computed in, where it does not fit at once
    width: int = 64
    layers: int = 2
    stop_logit: float = -2.0  # of STOP before training: asking is tried before stopping is learnt
    imitate_steps: int = 0  # decisions of another policy that are imitated first, where one is given to start from
    state_s: int = 300  # seconds between two states of a training from which it can go on
    device: str = "cpu"  # small networks are faster there
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, low, high in (
            ("steps", 1, 1 << 40),
            ("rollout", 1, 1 << 16),
            ("batch", 2, 1 << 24),
            ("epochs", 1, 1_000),
            ("learning_rate", 1e-8, 1.0),
            ("discount", 0.0, 1.0),
            ("trace", 0.0, 1.0),
            ("clip", 0.01, 10.0),
            ("clip_value", 0.0, 1e6),
            ("entropy", 0.0, 10.0),
            ("value", 0.0, 100.0),
            ("max_gradient", 1e-6, 1e6),
            ("stop_at_kl", 0.0, 100.0),
            ("accumulate", 1, 1 << 12),
            ("width", 1, 1 << 14),
            ("layers", 1, 64),
            ("stop_logit", -50.0, 50.0),
            ("imitate_steps", 0, 1 << 40),
            ("state_s", 1, 1 << 20),
        ):
            between(f"PpoNumbers.{name}", getattr(self, name), low, high)
        if self.batch % self.accumulate:
            raise ConfigError(
                f"PpoNumbers.batch {self.batch} is not a multiple of accumulate {self.accumulate}; change one of them"
            )
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"PpoNumbers.device is {self.device!r}; choose auto, cpu or cuda")
        if self.precision not in PRECISIONS:
            raise ConfigError(f"PpoNumbers.precision is {self.precision!r}; choose one of {', '.join(PRECISIONS)}")


@dataclass(frozen=True, kw_only=True)
class Acting:
    """Who investigates: the cases that policies learn from, and what they may spend."""

    cases: int = 400  # of a side, drawn evenly over its hosts
    test_cases: int = 2_000  # that policies are judged on at most
    glimpses: int = 12  # of each case, that the belief is fitted on
    belief_steps: int = 800
    walk_steps: int = 20  # of every lane and round, along which greedy policies learn what queries give
    tries: int = 2  # queries that are tried at each of them
    order: int = 24  # queries of a fixed order
    lanes: int = 64  # cases side by side
    budget_share: float = 0.23  # of what asking everything costs on average
    seeds: int = 3  # that PPO is trained from
    variants: bool = False  # PPO is also trained in other ways, to say what its parts are worth

    def __post_init__(self) -> None:
        between("Acting.cases", self.cases, 8, 1 << 20)
        between("Acting.test_cases", self.test_cases, 8, 1 << 20)
        between("Acting.glimpses", self.glimpses, 1, 1_000)
        between("Acting.belief_steps", self.belief_steps, 1, 1 << 20)
        between("Acting.walk_steps", self.walk_steps, 1, 1 << 16)
        between("Acting.tries", self.tries, 1, 1 << 10)
        between("Acting.order", self.order, 1, 64)
        between("Acting.lanes", self.lanes, 1, 1 << 14)
        between("Acting.budget_share", self.budget_share, 0.001, 1.0)
        between("Acting.seeds", self.seeds, 1, 100)
