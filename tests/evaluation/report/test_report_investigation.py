"""The report's section on the encoder: figures, what it was judged beside, and what the intervals allow to be said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from rlstir_core.evaluation.investigation.records import EncoderEvaluation, RiskScores, SigmaUse, TechniqueScores
from rlstir_core.evaluation.investigation.tamper_figures import TamperScores
from rlstir_core.evaluation.investigation.technique_figures import CoveragePoint, PartedScores
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.sections.investigation import investigation_section
from rlstir_core.evaluation.stats.intervals import Estimate, refused


def between(value: float, half: float = 0.05) -> Estimate:
    return Estimate(value=value, lo=value - half, hi=value + half)


def scores(name: str, value: float) -> TechniqueScores:
    return TechniqueScores(
        name=name,
        micro_f1=between(value),
        new_host=Estimate(value=value, unit="host", note="n = 2 test hosts, no interval for new hosts"),
        parent_f1=between(value),
        parts=PartedScores(seen=between(value), unseen=refused("no test episode carries such a technique")),
        hit_at={"1": between(0.5), "3": between(0.6), "5": between(0.7)},
        named=between(0.9),
        coverage=(CoveragePoint(coverage=0.25, n=15, precision=between(0.75)),),
        calibration=between(0.1),
        tactics=None,
    )


def risk(name: str, *, rows: bool = True) -> RiskScores:
    return RiskScores(
        name=name,
        risk_aupr=between(0.9),
        risk_auroc=between(0.8),
        row_ap=between(0.7) if rows else None,
        row_auroc=between(0.95) if rows else None,
    )


def tampering(name: str, value: float) -> TamperScores:
    figures = dict.fromkeys(("span_f1", "span_precision", "span_recall", "row_f1", "false_spans"), between(value))
    flagged = dict.fromkeys(("honest_flagged", "tampered_flagged"), between(value))
    return TamperScores(name=name, **figures, **flagged, recall_by_kind={}, n_honest=30, n_tampered=30)


@pytest.fixture
def found() -> EncoderEvaluation:
    return EncoderEvaluation(
        recipe="host",
        input_sha256="a",
        split_sha256="b",
        made_with={"preset": "smoke"},
        synthetic=True,
        n_train_episodes=40,
        n_validation_episodes=20,
        n_test_episodes=60,
        n_test_hosts=2,
        n_with_technique=30,
        n_tags=90,
        n_tags_unseen=12,
        n_tags_outside=2,
        prevalence=0.5,
        row_prevalence=0.06,
        risks=(risk("encoder"), risk("two-linear-stages"), risk("majority", rows=False)),
        tamper=(tampering("rules", 0.5), tampering("chainsaw", 0.2)),
        tamper_rows=(),
        tamper_prevalence=0.01,
        paired_risk={"two-linear-stages": between(0.06)},
        paired_rows={"two-linear-stages": between(-0.02, 0.01)},
        paired_spans={"chainsaw": between(0.3), "gap-rules": between(0.0)},
        files_by="encoder",
        models=(scores("encoder", 0.3), scores("majority", 0.2), scores("knowledge", 0.35), scores("bag|words", 0.3)),
        paired={"majority": between(0.1), "knowledge": between(-0.1), "bag|words": between(0.0)},
        sigma=SigmaUse(rules=9, used=7, unused=("2: it names <b>no</b> technique",), pysigma="2.0.1"),
        lacks=("public <b>texts</b>",),
        unseen_logs=("logs/audit.log",),
        knowledge_sha256="",
        tokenizer_sha256="c",
        checkpoint_sha256="d",
        pieces=2_000,
        n_parameters=12_345,
    )


def test_the_section_says_what_was_judged_beside_what_and_what_follows(
    sample_inputs: Callable[..., Any], found: EncoderEvaluation
) -> None:
    inputs = msgspec.structs.replace(sample_inputs(), investigation=found)
    section = investigation_section(inputs)
    for words in (
        "What log rows alone tell of 60 synthetic test episodes of 2 hosts",
        "30 of the episodes carry 90 techniques in all",
        "12 of the 90 are techniques that no episode of the training carries, 2 of them outside the label space",
        "12,345 parameters, 2,000 pieces",
        "of which 0.50 are attacks (the floor of average precision), and of their rows, of which 0.060 belong to one",
        "encoder minus `two-linear-stages`, AUROC of episodes: +0.060 [+0.010, +0.110]: the encoder is better",
        "average precision of rows: -0.020 [-0.030, -0.010]: the encoder is worse",
        "is right among the episodes it is surest of: 25 %: 0.75",
        "encoder minus `majority`, micro F1: +0.100 [+0.050, +0.150]: the encoder is better",
        "encoder minus `knowledge`, micro F1: -0.100 [-0.150, -0.050]: the encoder is worse",
        "micro F1: +0.000 [-0.050, +0.050]: not told apart",
        "n = 2 test hosts, no interval for new hosts",
        "[figures](encoder_eval.json)",
        "`rules` minus `chainsaw`, F1 of spans: +0.300 [+0.250, +0.350]: `rules` are better",
        "`rules` minus `gap-rules`, F1 of spans: +0.000 [-0.050, +0.050]: not told apart",
        "`sigma`: 7 of 9 imported rules, read by pySigma 2.0.1; not used: 2: it names",
        "no training episode has logs/audit.log, so nothing was learnt of such rows",
    ):
        assert words in section, words
    assert "<b>" not in section and "bag\\|words" in section
    report = render_markdown(inputs)
    assert section in report and report.index("## Investigation") < report.index("## Untested")


def test_without_an_interval_nothing_follows_and_without_an_encoder_there_is_no_section(
    sample_inputs: Callable[..., Any], found: EncoderEvaluation
) -> None:
    alone = Estimate(value=0.1, note="n = 8 test episodes, no interval below 20")
    few = msgspec.structs.replace(found, paired={"majority": alone}, synthetic=False, risks=(), n_tags_unseen=0)
    section = investigation_section(msgspec.structs.replace(sample_inputs(), investigation=few))
    assert "+0.100; nothing follows without an interval" in section
    assert "nobody says that they are benign" in section and "no episode of the training" not in section
    assert "It began with another encoder" not in section
    begun = msgspec.structs.replace(few, started=True)
    section = investigation_section(msgspec.structs.replace(sample_inputs(), investigation=begun))
    assert "It began with another encoder, which had learnt from that fold too" in section
    assert "Investigation" not in render_markdown(sample_inputs())
