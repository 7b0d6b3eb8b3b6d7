"""Presets: every number that decides how models are trained, by machine size.

What does not belong here: numbers that decide what a feature means (the registry and the feature schema).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

from rlstir_core.errors import ConfigError
from rlstir_core.learning.acting_numbers import Acting, PpoNumbers
from rlstir_core.learning.bounds import PRECISIONS, between


@dataclass(frozen=True, kw_only=True)
class Trees:
    """Boosted trees (XGBoost's hist)."""

    rounds: int = 250
    depth: int = 4
    learning_rate: float = 0.1
    subsample: float = 0.7
    columns: float = 0.1
    min_child_weight: float = 2.0
    l2: float = 2.0
    parallel_trees: int = 1
    gain: float = 0.4  # spread of a random gain of each log channel: trees lose more by it than networks

    def __post_init__(self) -> None:
        between("Trees.rounds", self.rounds, 1, 10_000)
        between("Trees.depth", self.depth, 1, 12)
        between("Trees.columns", self.columns, 0.01, 1.0)


@dataclass(frozen=True, kw_only=True)
class Net:
    """Sizes of the neural detectors."""

    width: int = 48
    layers: int = 2
    heads: int = 4
    dropout: float = 0.2
    stem_stride: int = 4  # the convolution before recurrent and attention layers shortens time by this

    def __post_init__(self) -> None:
        between("Net.width", self.width, 4, 4096)
        between("Net.layers", self.layers, 1, 64)
        between("Net.heads", self.heads, 1, 64)
        between("Net.stem_stride", self.stem_stride, 1, 64)
        if self.width % self.heads:
            raise ConfigError(f"Net.width {self.width} is not a multiple of heads {self.heads}; change one of them")
        between("Net.dropout", self.dropout, 0.0, 0.9)


@dataclass(frozen=True, kw_only=True)
class Training:
    """The one training loop of all neural detectors."""

    batch: int = 64
    epochs: int = 32  # an epoch is one pass over the windows of one view, and at least `min_epoch_steps` steps
    min_epoch_steps: int = 10
    patience: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: float = 0.05
    max_class_weight: float = 5.0
    min_purity: float = 0.7  # train windows that are less of one phase than this teach nothing clear
    views: int = 3  # random starts of every train episode
    drop: float = 0.25  # share of train episodes shown without one of their sources
    gain: float = 0.8  # spread of a random gain of each log channel, so that levels of one host are not trusted
    max_train_windows: int = 8_000  # of a view, drawn evenly over episodes and phases
    cache_mib: int = 256  # of inputs kept between epochs; what does not fit is made again
    device: str = "auto"
    precision: str = "auto"  # fp32, or on a GPU bf16 or fp16 where multiplying in half precision is safe

    def __post_init__(self) -> None:
        between("Training.max_train_windows", self.max_train_windows, 100, 1 << 40)
        between("Training.cache_mib", self.cache_mib, 0, 1 << 20)
        if self.precision not in PRECISIONS:
            raise ConfigError(f"Training.precision is {self.precision!r}; choose one of {', '.join(PRECISIONS)}")
        between("Training.batch", self.batch, 1, 1 << 20)
        between("Training.epochs", self.epochs, 1, 100_000)
        between("Training.patience", self.patience, 1, 100_000)
        between("Training.views", self.views, 1, 64)
        between("Training.warm_up", self.warm_up, 0.0, 0.5)
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"Training.device is {self.device!r}; choose auto, cpu or cuda")


# What an encoder can be trained without, to see what it is worth.
PARTS = ("graph", "transformer", "first-look", "row-features", "knowledge", "pretraining")


@dataclass(frozen=True, kw_only=True)
class Investigator:
    """Sizes and training of the investigator's tokenizer and encoder."""

    vocabulary: int = 2_000  # pieces of the tokenizer; a small corpus has fewer
    tokenizer_texts: int = 60_000  # that the tokenizer is trained on, evenly over episodes
    rows: int = 256  # distinct texts that are read of an episode whose rows carry no labels: some of every kind of row
    part_rows: int = 1_024  # rows of another episode that are read together
    parts: int = 4  # of an episode that are learnt from
    row_tokens: int = 24
    width: int = 48
    row_layers: int = 0  # over the tokens of a text; without any, the mean of its pieces is taken
    episode_layers: int = 1  # over the rows of an episode
    heads: int = 4
    feed_forward: int = 4  # times the width
    graph_width: int = 32  # of nodes of the provenance graph
    fuse_width: int = 64  # of a row joined with its process
    dropout: float = 0.0
    members: int = 3  # networks that differ by how they began, whose log-odds are averaged
    batch_tokens: int = 16_384
    accumulate: int = 1  # batches of a step, shared out among the devices
    devices: int = 1  # that train together, each a process of torchrun
    checkpointing: bool = False  # makes activations again on the way back instead of keeping them
    state_s: int = 300  # seconds between two states of a training from which it can go on
    start: str = ""  # a checkpoint, narrower or not as deep, to begin with
    without: str = ""  # one of `PARTS`: trained without it, to see what it is worth
    epochs: int = 6
    min_epoch_steps: int = 24  # with fewer tokens a batch where the train side is small
    patience: int = 3
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warm_up: float = 0.05
    cache_mib: int = 128  # of tokens kept between epochs; what does not fit is read again

    def __post_init__(self) -> None:
        between("Investigator.vocabulary", self.vocabulary, 300, 1 << 18)
        between("Investigator.tokenizer_texts", self.tokenizer_texts, 1_000, 1 << 24)
        between("Investigator.rows", self.rows, 8, 1 << 16)
        between("Investigator.part_rows", self.part_rows, 8, 1 << 16)
        between("Investigator.parts", self.parts, 1, 1 << 16)
        between("Investigator.row_tokens", self.row_tokens, 8, 1 << 12)
        between("Investigator.width", self.width, 8, 4096)
        between("Investigator.row_layers", self.row_layers, 0, 64)
        between("Investigator.episode_layers", self.episode_layers, 1, 64)
        between("Investigator.heads", self.heads, 1, 64)
        if self.without not in ("", *PARTS):
            raise ConfigError(f"Investigator.without is {self.without!r}; choose one of {', '.join(PARTS)}, or nothing")
        if self.width % self.heads:
            raise ConfigError(
                f"Investigator.width {self.width} is not a multiple of heads {self.heads}; change one of them"
            )
        between("Investigator.feed_forward", self.feed_forward, 1, 16)
        between("Investigator.graph_width", self.graph_width, 4, 4096)
        between("Investigator.fuse_width", self.fuse_width, 4, 8192)
        between("Investigator.accumulate", self.accumulate, 1, 1 << 12)
        between("Investigator.devices", self.devices, 1, 64)
        if self.accumulate % self.devices:
            raise ConfigError(
                f"Investigator.accumulate {self.accumulate} is not a multiple of devices {self.devices}; each device "
                "takes an equal number of a step's batches, change one of them"
            )
        between("Investigator.state_s", self.state_s, 1, 1 << 20)
        between("Investigator.dropout", self.dropout, 0.0, 0.9)
        between("Investigator.batch_tokens", self.batch_tokens, 64, 1 << 24)
        between("Investigator.members", self.members, 1, 64)
        between("Investigator.epochs", self.epochs, 1, 10_000)
        between("Investigator.min_epoch_steps", self.min_epoch_steps, 1, 10_000)
        between("Investigator.patience", self.patience, 1, 10_000)
        between("Investigator.warm_up", self.warm_up, 0.0, 0.5)
        between("Investigator.cache_mib", self.cache_mib, 0, 1 << 20)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Everything that training needs to know beside the data."""

    name: str
    seed: int = 0
    trees: Trees = Trees()
    net: Net = Net()
    train: Training = Training()
    investigator: Investigator = Investigator()
    acting: Acting = field(default_factory=Acting)
    ppo: PpoNumbers = field(default_factory=PpoNumbers)
    bootstrap_draws: int = 2000
    seeds: int = 3  # that a member is trained from to see how much of its score is luck; the first is `seed`

    def __post_init__(self) -> None:
        between("Preset.bootstrap_draws", self.bootstrap_draws, 200, 1_000_000)
        between("Preset.seeds", self.seeds, 2, 20)


def smoke() -> Preset:
    """Two CPU cores, minutes."""
    return Preset(name="smoke", ppo=PpoNumbers(steps=60_000, rollout=64))


def rtx4060() -> Preset:
    """One GPU with 8 GB."""
    return Preset(
        name="rtx4060",
        trees=Trees(rounds=1000, learning_rate=0.04, parallel_trees=2),
        net=Net(width=128, layers=3, heads=8, stem_stride=2),
        train=Training(batch=256, epochs=120, views=8, learning_rate=1e-3, max_train_windows=50_000, cache_mib=1_024),
        investigator=Investigator(
            vocabulary=32_000,
            tokenizer_texts=2_000_000,
            rows=1_024,
            row_tokens=64,
            width=512,
            members=1,
            dropout=0.1,
            row_layers=6,
            episode_layers=2,
            heads=8,
            graph_width=256,
            fuse_width=768,
            batch_tokens=32_768,
            checkpointing=True,
            epochs=20,
            learning_rate=3e-4,
            cache_mib=2_048,
        ),
        acting=Acting(cases=1_200, belief_steps=1_500, walk_steps=100, variants=True),
        ppo=PpoNumbers(steps=400_000, rollout=64),
        bootstrap_draws=4000,
    )


def rtx3090x2() -> Preset:
    """Two GPUs with 24 GB each: detectors queue for them, one a device."""
    return Preset(
        name="rtx3090x2",
        trees=Trees(rounds=2000, learning_rate=0.03, parallel_trees=4),
        net=Net(width=256, layers=4, heads=8, stem_stride=2),
        train=Training(batch=512, epochs=200, views=16, learning_rate=1e-3, max_train_windows=50_000, cache_mib=1_024),
        investigator=Investigator(
            vocabulary=32_000,
            tokenizer_texts=4_000_000,
            rows=2_048,
            row_tokens=96,
            width=768,
            members=1,
            dropout=0.1,
            row_layers=9,
            episode_layers=3,
            heads=12,
            graph_width=256,
            fuse_width=768,
            batch_tokens=32_768,
            accumulate=2,
            devices=2,
            checkpointing=True,
            epochs=20,
            learning_rate=2e-4,
            cache_mib=8_192,
        ),
        acting=Acting(cases=1_200, belief_steps=1_500, walk_steps=100, variants=True),
        ppo=PpoNumbers(steps=400_000, rollout=64),
        bootstrap_draws=10_000,
    )


PRESETS: dict[str, Callable[[], Preset]] = {"smoke": smoke, "rtx4060": rtx4060, "rtx3090x2": rtx3090x2}


def preset(name: str, overrides: Sequence[str] = (), seed: int | None = None) -> Preset:
    """The preset called `name` with `overrides` ("train.batch=64"); ConfigError says what may be set instead."""
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is unknown; choose one of {', '.join(PRESETS)}")
    chosen = PRESETS[name]()
    for text in overrides:
        chosen = _overridden(chosen, text)
    return chosen if seed is None else replace(chosen, seed=seed)


def _overridden(chosen: Preset, text: str) -> Preset:
    path, equals, value = (part.strip() for part in text.partition("="))
    section, dot, name = path.rpartition(".")
    known = _settings(chosen)
    if not equals or path not in known:
        near = difflib.get_close_matches(path, known, n=1) or ["train.batch"]
        raise ConfigError(f"--set {text!r} names no setting; write for example --set {near[0]}={known[near[0]]}")
    kind = type(known[path])
    try:
        typed = _truth(value) if kind is bool else kind(value)
    except ValueError:
        raise ConfigError(f"--set {text!r} needs a value like {known[path]!r} ({kind.__name__})") from None
    changed: dict[str, Any] = {name: typed}
    if dot:
        changed = {section: replace(getattr(chosen, section), **changed)}
    return replace(chosen, **changed)


def _truth(value: str) -> bool:
    words = {"true": True, "false": False}
    if value.lower() not in words:
        raise ValueError(value)
    return words[value.lower()]


def _settings(chosen: Preset) -> dict[str, int | float | str]:
    """Every setting by its path."""
    found: dict[str, int | float | str] = {}
    for each in fields(chosen):
        value = getattr(chosen, each.name)
        if is_dataclass(value):
            found |= {f"{each.name}.{inner.name}": getattr(value, inner.name) for inner in fields(value)}
        elif each.name != "name":
            found[each.name] = value
    return found
