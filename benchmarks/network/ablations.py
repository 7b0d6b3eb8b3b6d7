"""What each part of the encoder is worth: trained without it, on generated episodes, beside the whole one.

Every row learns from the same episodes and is judged on the same held-out hosts; differences to the whole encoder have
paired intervals by episode. The network of the first training is judged (on the train side without the fold that
chooses), which takes half the time. Public texts speak of imported files alone, so that `knowledge` has no row here.
Usage: python -m benchmarks.network.ablations --folder F [--episodes 480] [--seed 21] [--only graph,transformer]
[--set investigator.members=1]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.network.generated import NAMES, generated, parser
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.store import build_split
from rlstir_core.evaluation.investigation.figures import micro_f1_of
from rlstir_core.evaluation.investigation.two_class import ranking_statistics
from rlstir_core.evaluation.stats.intervals import Estimate, Statistic, estimate
from rlstir_core.evaluation.stats.paired import minus
from rlstir_core.investigator.answers import answers_of
from rlstir_core.investigator.inputs import LogInputs
from rlstir_core.investigator.pretraining.calibrated import calibrate
from rlstir_core.investigator.pretraining.taught import taught_of
from rlstir_core.investigator.pretraining.training import fit, lessons
from rlstir_core.investigator.reading.tokenizer import build_tokenizer, load_tokenizer
from rlstir_core.investigator.study import InvestigatorStudy, open_investigator
from rlstir_core.learning.devices import device
from rlstir_core.learning.examples import CacheBudget
from rlstir_core.learning.options import StudyOptions
from rlstir_core.learning.presets import PARTS
from rlstir_core.results.layout import Layout

TEST_HOSTS = ("w4", "w5")
ASKED = tuple(part for part in PARTS if part != "knowledge")
_DRAWS = 2000
_WHOLE = "nothing"


def trained_without(study: InvestigatorStudy, tell: Callable[[str], None]) -> dict[str, Statistic]:
    """Figures of the test side by an encoder of these numbers, as sums over episodes."""
    build_tokenizer(study, tell)
    tokenizer, _ = load_tokenizer(study)
    on = device(study.numbers.train.device)
    _, train, held = lessons(study, tokenizer)
    network, _ = fit(train, held, study.numbers, tokenizer.size, on, tell)
    by = calibrate(list(answers_of(network, held.shown, on)), held.taught, train.taught)
    shown = LogInputs(study, study.test, tokenizer, None, hosts=study.split.hosts, budget=CacheBudget(0))
    said = list(answers_of(network, shown, on))
    truth = taught_of(study.layout, study.test)  # after everything was said
    rows = [each for each in truth.truth if each is not None]
    episode_N = np.repeat(np.arange(len(said)), [len(each.attack_N) for each in rows])
    attack_N, tampered_N = (
        np.concatenate([getattr(each, what) for each in rows]) for what in ("attack_N", "tampered_N")
    )
    named_EK = by.naming(rows=True).named(np.stack([by.score_K(each, rows=True) for each in said]))
    true_EK = truth.technique_EK
    sums_E3 = np.stack([(named_EK & true_EK).sum(axis=1), named_EK.sum(axis=1), true_EK.sum(axis=1)], axis=1)

    def of_rows(p_N: Any, y_N: Any) -> Statistic:
        return ranking_statistics(p_N, y_N, episode_N, study.test)[0]

    risk_E = np.array([by.p_risk(each) for each in said])
    return {
        "episode AUROC": ranking_statistics(risk_E, truth.attack_E, np.arange(len(said)), study.test)[1],
        "row average precision": of_rows(np.concatenate([by.p_attack_N(each) for each in said]), attack_N),
        "technique micro F1": micro_f1_of(sums_E3.astype(np.float64)),
        "tampered rows, average precision": of_rows(np.concatenate([by.p_tamper_N(each) for each in said]), tampered_N),
    }


def study_of(layout: Layout, part: str, numbers: Sequence[str] = ()) -> InvestigatorStudy:
    train = tuple(name for name in NAMES if name not in TEST_HOSTS)
    settings = SplitSettings(train_hosts=train)
    build_split(layout, "host", NAMES, settings)
    overrides = (*numbers, *([f"investigator.without={part}"] if part else []))
    return open_investigator(layout, StudyOptions(recipe="host", overrides=overrides, split=settings))


def line(part: str, found: dict[str, Statistic], whole: dict[str, Statistic]) -> dict[str, str]:
    """Each figure with its interval, and how far it lies from that of the whole encoder."""
    cells = {"without": part or _WHOLE}
    for name, statistic in found.items():
        cells[name] = _said(estimate(statistic, draws=_DRAWS))
        if part:
            cells[name] += f", {_said(estimate(minus(statistic, whole[name]), draws=_DRAWS), signed=True)}"
    return cells


def _said(found: Estimate, *, signed: bool = False) -> str:
    if found.value is None:
        return found.note
    form = "+.3f" if signed else ".3f"
    value = format(found.value, form)
    return value if found.lo is None or found.hi is None else f"{value} [{found.lo:{form}}, {found.hi:{form}}]"


def main(argv: list[str] | None = None) -> dict[str, Any]:
    """Prints a line of JSON for each part as it is measured, and gives all."""
    options = parser("what each part of the encoder is worth")
    options.add_argument("--only", default=",".join(ASKED), help="parts that are left out, one after the other")
    options.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a number of the preset")
    args = options.parse_args(argv)
    layout = generated(args, _tell)
    lines: list[dict[str, str]] = []
    whole: dict[str, Statistic] = {}
    for part in ("", *args.only.split(",")):
        _tell(f"without {part or _WHOLE}")
        found = trained_without(study_of(layout, part, args.set), _tell)
        whole = whole or found
        lines.append(line(part, found, whole))
        print(json.dumps(lines[-1]), flush=True)
    return {"benchmark": "ablations", "lines": lines}


def _tell(message: str) -> None:
    print(message, flush=True)


if __name__ == "__main__":
    main()
