"""The leakage checks of a generated store: what must be hard to guess from its logs, each with its figure and its bar.

A check fails where its whole interval lies beyond the bar, so that a small store is not condemned by chance; where
there are too few episodes a check is not judged, and its figure is printed all the same. What does not belong here:
what a check is (`gate.py`), reading (`facts.py`) and models (`probes.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rlstir_core.lab.leakage.facts import EpisodeFacts, generated
from rlstir_core.lab.leakage.gate import GATES, PRINTED, Figure, Gate
from rlstir_core.lab.leakage.probes import FOLDS, by_system, metadata, overlap, rate, scenarios, stump
from rlstir_core.results.lab_outcome import LabOutcome, lab_inputs_sha256, write_outcome
from rlstir_core.results.layout import Layout

FEWEST = 100  # episodes
FEWEST_PER_SCENARIO = 15  # attack episodes, on average: of fewer a model learns too little to say what is there


def gates(store: Path, layout: Layout, hosts: Iterable[str]) -> list[Gate]:
    """Every gate, for the generated episodes with log rows; without a figure where the store has none.

    What failed is kept beside the rows (`results/lab_outcome.py`), for whoever wants to train on them.
    """
    named = tuple(hosts)
    made_from = lab_inputs_sha256(layout, named)
    facts = generated(store, layout, named)
    found = judge(facts)
    failed = tuple(gate.sentence for gate in found if not gate.passed)
    write_outcome(layout, LabOutcome(made_from=made_from, n_episodes=len(facts), failed=failed))
    return found


def judge(facts: Sequence[EpisodeFacts]) -> list[Gate]:
    """The checks of these episodes."""
    benign = [each for each in facts if each.benign]
    honest = [each for each in facts if not each.tampered]
    both = min(len(benign), len(facts) - len(benign)) >= FOLDS
    stories = Counter(each.lab.story for each in facts if not each.benign)
    told = [each for each in facts if each.benign or stories[each.lab.story] >= FOLDS]
    many = len([name for name, n in stories.items() if n >= FOLDS]) > 1
    tampered = [each for each in facts if each.tampered]
    chainsaw = rate([each.chainsaw for each in honest]) if honest else None
    recall = rate([each.chainsaw for each in tampered]) if tampered else None
    return [
        _gate(
            facts,
            "template_overlap",
            "at least .60",
            overlap(facts) if both else None,
            lambda f: f.hi >= 0.60,
        ),
        _gate(
            facts,
            "word_stump",
            "at most .75",
            stump(facts) if both else None,
            lambda f: f.lo <= 0.75,
            # among thousands of words the best of few episodes is good by chance
            enough=all(len(here) >= FEWEST for here in by_system(facts).values()),
        ),
        _gate(
            facts,
            "scenario_bag",
            ".40 to .80",
            scenarios(told) if both and many else None,
            lambda f: f.hi >= 0.40 and f.lo <= 0.80,
            enough=sum(stories.values()) >= FEWEST_PER_SCENARIO * len(stories),
        ),
        _gate(
            facts,
            "metadata_only",
            "within .05 of chance",
            metadata(facts) if both else None,
            lambda f: f.lo <= 0.55 and f.hi >= 0.45,
        ),
        _gate(
            facts,
            "look_alikes",
            "at least .20",
            rate([bool(each.lab.look_alikes) for each in benign]) if benign else None,
            lambda f: f.hi >= 0.20,
        ),
        _gate(
            facts,
            "naive_tamper_rule",
            "at least .30",
            rate([each.naive for each in honest]) if honest else None,
            lambda f: f.hi >= 0.30,
        ),
        _gate(
            facts,
            "chainsaw_rule",
            "printed",
            chainsaw,
            lambda f: True,
            f"recall on {len(tampered)} tampered episodes "
            + (f"{recall.value:.2f} [{recall.lo:.2f}, {recall.hi:.2f}]" if recall else "untested"),
        ),
    ]


def _gate(
    facts: Sequence[EpisodeFacts],
    name: str,
    bar: str,
    figure: Figure | None,
    holds: Callable[[Figure], bool],
    detail: str = "",
    *,
    enough: bool = True,
) -> Gate:
    judged = figure is not None and enough and len(facts) >= FEWEST
    return Gate(
        name=name,
        asks=(GATES | PRINTED)[name],
        bar=bar,
        figure=figure,
        n=len(facts),
        judged=judged,
        passed=not judged or figure is None or holds(figure),
        detail=detail or (figure.what if figure else "nothing to tell apart"),
    )
