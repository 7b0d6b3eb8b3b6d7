"""A study of logs: one split, the episodes of its sides that have logs, and the keys of what is learnt from them.

What does not belong here: learning (`pretraining/`), and what is said of the test side (`evaluation/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rlstir_core.atomic import canonical_sha256, file_sha256
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.split import Split
from rlstir_core.datasets.store import read_split
from rlstir_core.errors import SplitRefused
from rlstir_core.hostlogs.store import host_counts
from rlstir_core.investigator.techniques.labels import LABELS, episode_techniques
from rlstir_core.investigator.techniques.row_truth import says_rows
from rlstir_core.learning.acting_numbers import Acting, PpoNumbers
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.presets import Investigator, Preset
from rlstir_core.results.layout import Layout
from rlstir_core.results.versions import version


@dataclass(frozen=True, kw_only=True, eq=False)
class InvestigatorStudy:
    """Opened once per step; rows stay closed until somebody asks for them."""

    layout: Layout
    options: StudyOptions
    numbers: Preset
    split: Split

    @cached_property
    def train(self) -> list[EpisodeInfo]:
        """The train side, as far as it has logs: all that a training step may open."""
        return with_logs(self.split.trained_on)

    @cached_property
    def train_hosts(self) -> list[str]:
        """Whose names are hidden in what is learnt from."""
        return sorted({info.host for info in self.train})

    @cached_property
    def test(self) -> list[EpisodeInfo]:
        return with_logs(self.split.tested)

    @cached_property
    def sides(self) -> tuple[list[EpisodeInfo], list[EpisodeInfo]]:
        """What is learnt from, and the fold of the train side that chooses; SplitRefused says why there is none."""
        found = _sides(self.layout, self.split)
        if isinstance(found, str):
            raise SplitRefused(found)
        return found

    @cached_property
    def asks_files(self) -> bool:
        """Whether imported logs may teach an encoder their files' techniques: only where another corpus chooses.

        A fold of the same author picks what does not carry over to others (measured: docs/investigator.md).
        """
        learnt, chosen = ({info.corpus for info in side if not says_rows(info)} for side in self.sides)
        return bool(learnt) and bool(chosen) and learnt.isdisjoint(chosen)

    @cached_property
    def tokenizer_sha256(self) -> str:
        """The hash of everything that decides the tokenizer."""
        numbers = self.numbers.investigator
        deciding = [numbers.vocabulary, numbers.rows, numbers.tokenizer_texts]
        return canonical_sha256(
            [version("tokenizer"), self.split.recipe, deciding, self.train_hosts, _keys(self.train)]
        )

    @cached_property
    def encoder_sha256(self) -> str:
        """The hash of everything that decides the encoder."""
        folds = [[name for name in fold if self.split.by_name[name].logs] for fold in self.split.rounds[0].folds]
        training = self.numbers.train
        # when states are written decides nothing, and of what training begins with its content does
        numbers = replace(self.numbers.investigator, start="", state_s=Investigator.state_s)
        return canonical_sha256(
            [
                version("encoder"),
                self.tokenizer_sha256,
                [self.numbers.seed, numbers, training.device, training.precision],
                self.start_sha256,
                folds,
                LABELS,
                self.knowledge_sha256,
            ]
        )

    @cached_property
    def acting_sha256(self) -> str:
        """The hash of everything that decides who investigates: the belief and the policies."""
        numbers = self.numbers
        folds = [[name for name in fold if self.split.by_name[name].logs] for fold in self.split.rounds[0].folds]
        ppo = replace(numbers.ppo, state_s=PpoNumbers.state_s)  # when states are written decides nothing
        graph = numbers.investigator.without != "graph"
        acting = replace(numbers.acting, test_cases=Acting.test_cases)
        deciding = [self.split.recipe, numbers.seed, acting, ppo, graph]
        return canonical_sha256([version("ppo_policy"), deciding, self.train_hosts, folds, _keys(self.train), LABELS])

    @cached_property
    def start_sha256(self) -> str:
        """The hash of the checkpoint that training begins with; empty where there is none."""
        start = self.numbers.investigator.start
        if not start:
            return ""
        return self.sha256_of(Path(start)) if Path(start).is_file() else "missing"

    @cached_property
    def knowledge_sha256(self) -> str:
        """The hash of the public technique texts; empty where none were imported."""
        path = self.layout.knowledge
        return self.sha256_of(path) if path.exists() else ""

    @staticmethod
    def sha256_of(path: Path) -> str:
        return file_sha256(path)


def open_investigator(layout: Layout, options: StudyOptions) -> InvestigatorStudy:
    """The study of a recipe; UpstreamMissing where it was not split, or with other settings."""
    split = read_split(layout, options.recipe, options.split)
    return InvestigatorStudy(layout=layout, options=options, numbers=options.numbers(), split=split)


def with_logs(episodes: Sequence[EpisodeInfo]) -> list[EpisodeInfo]:
    return [info for info in episodes if info.logs]


def why_not(layout: Layout, split: Split) -> str:
    """Why no investigator can be trained and judged on this split, in one sentence; empty where one can."""
    found = _sides(layout, split)
    if isinstance(found, str):
        return found
    if not any(episode_techniques(layout, with_logs(split.tested)).values()):
        return "no log row of the test side carries a technique, so there is nothing to judge an encoder by"
    return ""


def nothing_labelled(layout: Layout, hosts: Sequence[str]) -> str:
    """Why no recipe has anything to teach an encoder; empty where some log row carries a technique."""
    if any(each.techniques for host in hosts for each in host_counts(layout, host).values()):
        return ""
    return "no log row carries a technique (rlstir import logs --labels brings them), so no encoder is trained"


def _sides(layout: Layout, split: Split) -> tuple[list[EpisodeInfo], list[EpisodeInfo]] | str:
    if len(split.rounds) > 1:
        return f"recipe {split.recipe!r} has {len(split.rounds)} rounds, and the encoder is trained for recipes of one"
    train = with_logs(split.trained_on)
    if not train or not with_logs(split.tested):
        side = "test" if train else "train"
        return f"no episode of the {side} side has logs, so there is nothing for an encoder to read"
    carried = episode_techniques(layout, train)
    if not any(carried.values()):
        return "no log row of the train side carries a technique, so there is nothing for an encoder to learn"
    possible = []
    for fold in split.rounds[0].folds:
        held = set(fold)
        learnt = [info for info in train if info.episode_id not in held]
        chosen = [info for info in train if info.episode_id in held]
        if any(carried[info.episode_id] for info in learnt) and any(carried[info.episode_id] for info in chosen):
            possible.append((learnt, chosen))
    if possible:  # what nothing was learnt of cannot choose well: the first fold with the fewest unseen kinds of log
        return min(possible, key=lambda sides: len(_kinds(sides[1]) - _kinds(sides[0])))
    return "log rows that carry techniques stand in one fold of the train side only, so nothing could choose an encoder"


def _kinds(episodes: Sequence[EpisodeInfo]) -> set[str]:
    return {log for info in episodes for log in info.logs}


def _keys(episodes: Sequence[EpisodeInfo]) -> list[tuple[str, str]]:
    """What decides the rows of episodes: tarballs, the rules they were decoded under, and the parsers' version."""
    return [
        (info.episode_id, canonical_sha256([info.decoded_sha256, version("log_rows"), version("graph")]))
        for info in episodes
    ]
