"""How well the encoder reads attacks of kinds that it never saw: whole scenarios held out, benign duties as well.

A scenario is the story that the lab plays (`lab/life/*/attacks`, `duties`); a profile, which recipes know, has several,
and a sample says nothing of logs. A third of the attack kinds and of the duties is the test side; hosts stand on both
sides, so that nothing but the scenario is new. The fold that chooses is of other scenarios than what is learnt from,
too. Beside it `--known` holds out as many episodes of the same stories by lot: what the scenarios cost.
Usage: python -m benchmarks.network.scenarios --folder F [--episodes 480] [--seed 21] [--third 0] [--known]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.network.generated import NAMES, generated, parser
from rlstir_core.datasets.episodes import EpisodeInfo, episode_table
from rlstir_core.datasets.recipes.base import SplitSettings, rank
from rlstir_core.datasets.split import Split, SplitRound
from rlstir_core.episodes.store.index import read_index
from rlstir_core.evaluation.investigation.encoder_eval import evaluate_encoder
from rlstir_core.evaluation.investigation.records import EncoderEvaluation
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.investigator.pretraining.training import train_encoder
from rlstir_core.investigator.reading.tokenizer import build_tokenizer
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.lab.leakage.facts import meta_of
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.layout import Layout

_PARTS = 3


def stories(store: Path) -> dict[tuple[str, str], str]:
    """{(host, episode): its story}"""
    found: dict[tuple[str, str], str] = {}
    for entry in read_index(store).entries:
        meta, _ = meta_of(store / entry.path)
        if meta is not None and meta.lab is not None:
            found[entry.host_id, entry.episode_id] = meta.lab.story
    return found


def split_by(episodes: Sequence[EpisodeInfo], group: Callable[[EpisodeInfo], str], third: int) -> Split:
    """A third of the groups is tested, another third of the rest chooses; attacks and benign episodes alike."""
    part: dict[tuple[bool, str], int] = {}
    for benign in (False, True):
        groups = sorted({group(info) for info in episodes if info.benign == benign}, key=lambda name: rank(name, 0))
        part |= {(benign, name): k for k, name in enumerate(groups)}
    of = {info.episode_id: part[info.benign, group(info)] for info in episodes}
    test = tuple(name for name, k in of.items() if k % _PARTS == third)
    train = tuple(name for name, k in of.items() if k % _PARTS != third)
    folds = tuple(tuple(name for name in train if of[name] // _PARTS % _PARTS == fold) for fold in range(_PARTS))
    return Split(
        recipe="host",  # whose folder it is made in
        words="Scenarios are held out.",
        headline=False,
        settings=SplitSettings(),
        rounds=(SplitRound(train=train, folds=folds, test=test, held_out=()),),
        excluded=(),
        episodes=tuple(episodes),
    )


def measured(layout: Layout, split: Split, tell: Callable[[str], None]) -> EncoderEvaluation:
    options = StudyOptions(recipe="host")
    study = InvestigatorStudy(layout=layout, options=options, numbers=options.numbers(), split=split)
    build_tokenizer(study, tell)
    train_encoder(study, tell)
    return evaluate_encoder(study, tell)[0]


def lines(found: EncoderEvaluation) -> dict[str, Any]:
    """The figures of one evaluation, model by model, and how far the encoder lies above each."""
    of: dict[str, dict[str, str]] = {}
    for risk in found.risks:
        of.setdefault(risk.name, {}).update(
            {"risk average precision": _said(risk.risk_aupr), "risk AUROC": _said(risk.risk_auroc)}
        )
        if risk.row_ap is not None:
            of[risk.name]["row average precision"] = _said(risk.row_ap)
    for model in found.models:
        of.setdefault(model.name, {}).update(
            {"technique micro F1": _said(model.micro_f1), "first three": _said(model.hit_at["3"])}
        )
    above: Mapping[str, Mapping[str, Estimate]] = {
        "risk AUROC": found.paired_risk,
        "row average precision": found.paired_rows,
        "technique micro F1": found.paired,
    }
    return {
        "test episodes": found.n_test_episodes,
        "attacks": found.prevalence,
        "techniques that training never saw": f"{found.n_tags_unseen} of {found.n_tags}",
        "models": of,
        "encoder minus": {what: {name: _said(each) for name, each in by.items()} for what, by in above.items()},
    }


def _said(found: Estimate) -> str:
    if found.value is None:
        return found.note
    interval = "" if found.lo is None or found.hi is None else f" [{found.lo:.3f}, {found.hi:.3f}]"
    return f"{found.value:.3f}{interval}"


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints the figures as JSON and gives them."""
    options = parser("how well the encoder reads attacks of kinds that it never saw")
    options.add_argument("--third", type=int, choices=range(_PARTS), default=0, help="which scenarios are held out")
    options.add_argument("--known", action="store_true", help="hold out episodes by lot instead")
    args = options.parse_args(argv)
    layout = generated(args, _tell)
    story = stories(args.folder / "store")
    episodes = [info for info in episode_table(layout, NAMES) if info.logs and (info.host, info.own_id) in story]

    def group(info: EpisodeInfo) -> str:
        return info.episode_id if args.known else story[info.host, info.own_id]

    split = split_by(episodes, group, args.third)
    tested = {info.episode_id for info in split.tested}
    held = sorted({story[info.host, info.own_id] for info in episodes if info.episode_id in tested})
    found = {"benchmark": "scenarios", "held out": "episodes by lot" if args.known else held}
    found |= lines(measured(layout, split, _tell))
    print(json.dumps(found, indent=1))
    return found


def _tell(message: str) -> None:
    print(message, flush=True)


if __name__ == "__main__":
    main()
