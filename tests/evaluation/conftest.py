"""Small worlds of labelled windows and scores for the tests of evaluation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from drift_sample import sample_drift

from rlstir_core.evaluation.report.inputs import (
    BadRows,
    Coverage,
    DataQuality,
    Excluded,
    Honesty,
    HonestyRow,
    HostQuality,
    IndexFault,
    LeakProbe,
    LeftOut,
    LogQuality,
    LowDiversity,
    Manifest,
    Rejected,
    ReportInputs,
    SplitColumn,
    SplitDescription,
    SplitSide,
)
from rlstir_core.evaluation.stats.details import Cause
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.records import (
    AttackVsRest,
    Confusion,
    EarlyCurve,
    EarlyPoint,
    Metrics,
    ModelEvaluation,
    PairedDifference,
    PhaseScore,
    RecallAtFpr,
    SplitGap,
    Stratum,
    TimeToDetect,
    Untested,
)
from rlstir_core.evaluation.stats.scored import Episodes, Scores, Truth

PHASES = ("clean", "armed", "infecting", "infected_running", "dormant")
ATTACK = (False, False, True, True, False)
PROFILES = ("cpu-saturate", "low-and-slow", "io-walk")
STRIDE_S = 5.0


def make_truth(episodes: int = 60, hosts: int = 2, seed: int = 1, windows: int = 40) -> Truth:
    """Episodes that start anywhere in the story and run through its phases; a third is benign."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[int, int, float, float]] = []
    for e in range(episodes):
        benign = e % 3 == 2
        lengths = rng.integers(windows // 8, windows // 4, size=5)
        story = np.repeat(np.arange(5), lengths)
        if benign:
            story = np.where(story >= 2, 0, story)
        start = int(rng.integers(0, lengths[0] + lengths[1]))
        onset = None if benign else (lengths[0] + lengths[1] - start) * STRIDE_S
        for i, phase in enumerate(story[start:]):
            end = (i + 1) * STRIDE_S
            since = np.nan if onset is None or end < onset else end - onset
            rows.append((e, int(phase), end, since))
    columns = list(zip(*rows, strict=True))
    return Truth(
        phases=PHASES,
        attack=ATTACK,
        episode_N=np.array(columns[0]),
        y_N=np.array(columns[1]),
        purity_N=np.ones(len(rows)),
        end_s_N=np.array(columns[2]),
        since_onset_s_N=np.array(columns[3]),
        episodes=Episodes(
            episode_id=np.array([f"ep-{e:03d}" for e in range(episodes)]),
            host=np.array([f"host-{e % hosts}" for e in range(episodes)]),
            profile=np.array([PROFILES[e // 2 % 3] for e in range(episodes)]),
            sample=np.array([f"s{e % 5}" for e in range(episodes)]),
            benign=np.array([e % 3 == 2 for e in range(episodes)]),
            complete=np.array([e % 4 != 1 for e in range(episodes)]),
            duration_s=np.full(episodes, windows * STRIDE_S),
        ),
    )


def make_scores(truth: Truth, model: str, mode: str, skill: float, seed: int = 0) -> Scores:
    """Softmax of noise plus `skill` on the true phase; the noise has a part that a whole episode shares."""
    rng = np.random.default_rng([seed, *model.encode(), *mode.encode()])
    K = truth.n_phases
    shared = rng.normal(size=(len(truth.episodes), K))[truth.episode_N]
    logits = rng.normal(size=(len(truth), K)) + 0.7 * shared
    logits[np.arange(len(truth)), truth.y_N] += skill
    proba = np.exp(logits - logits.max(axis=1, keepdims=True))
    name = f"{model}_{mode}" if mode != "baseline" else model
    return Scores(name=name, model=model, mode=mode, proba_NK=proba / proba.sum(axis=1, keepdims=True))


@pytest.fixture(name="make_truth")
def _make_truth() -> Callable[..., Truth]:
    return make_truth


@pytest.fixture(name="make_scores")
def _make_scores() -> Callable[..., Scores]:
    return make_scores


def _estimate(value: float, half: float = 0.05) -> Estimate:
    lo, hi = round(value - half, 4), round(value + half, 4)
    return Estimate(value=value, lo=lo, hi=hi, method="percentile bootstrap")


def _share(value: float) -> Estimate:
    """A figure that lies between 0 and 1."""
    value = round(max(value, 0.0), 4)
    return Estimate(value=value, lo=max(0.0, round(value - 0.05, 4)), hi=round(value + 0.05, 4))


def sample_evaluation(model: str, mode: str, score: float) -> ModelEvaluation:
    """A made-up evaluation whose figures all follow from `score`: nothing random, so golden files stay."""

    def stratum(shift: float, n: int, phases: tuple[str, ...] = PHASES[:3]) -> Stratum:
        part = (
            _estimate(round(score + shift, 4))
            if n >= 20
            else Estimate(value=round(score + shift, 4), note=f"n = {n} test episodes, no interval below 20")
        )
        return Stratum(n_test=n, n_windows=n * 30, phases=phases, macro_f1=part, accuracy=part)

    right = round(100 * score)
    matrix = tuple(tuple(right if i == j else (100 - right) // 4 for j in range(5)) for i in range(5))
    return ModelEvaluation(
        name=model if mode == "baseline" else f"{model}_{mode}",
        model=model,
        mode=mode,
        recipe="host",
        seeds=(0, 1),
        n_train_episodes=120,
        n_test_episodes=60,
        n_test_windows=1800,
        n_test_hosts=2,
        metrics=Metrics(
            macro_f1=_estimate(score),
            accuracy=_estimate(round(score + 0.02, 4)),
            per_phase={
                phase: PhaseScore(f1=_estimate(round(score - 0.01 * i, 4)), n_test=60 - 10 * i)
                for i, phase in enumerate(PHASES[:4])
            },
        ),
        new_host=Estimate(value=score, unit="host", note="n = 2 test hosts, no interval for new hosts"),
        per_profile={"io-walk": stratum(0.01, 24), "mem-churn": stratum(-0.03, 12, PHASES[:2])},
        per_host={"host-a": stratum(0.02, 30), "host-b": stratum(-0.02, 30)},
        complete=stratum(0.01, 45),
        degraded=stratum(-0.04, 15),
        attack_vs_rest=AttackVsRest(f1=_estimate(round(score + 0.1, 4)), auroc=_estimate(round(score + 0.2, 4))),
        recall_at_fpr=(
            RecallAtFpr(
                fpr=0.01,
                threshold=0.91,
                chosen_on="validation",
                n_validation_negatives=900,
                recall=_share(score - 0.2),
                realised_fpr=_estimate(0.034, 0.008),
            ),
            RecallAtFpr(
                fpr=0.001,
                threshold=None,
                chosen_on="validation",
                n_validation_negatives=900,
                recall=Estimate(value=None, note="validation has 900 non-attack windows, 0.1 % needs 3,000"),
                realised_fpr=Estimate(value=None, note="validation has 900 non-attack windows, 0.1 % needs 3,000"),
            ),
        ),
        calibration=_estimate(0.08, 0.02),
        time_to_detect=TimeToDetect(
            fpr=0.01,
            threshold=0.91,
            n_episodes=40,
            n_onset_unseen=2,
            mean_s=_estimate(round(60 * (1 - score), 2), 5.0),
            median_s=12.0,
            share_detected=_estimate(round(score + 0.1, 4)),
        ),
        early_detection=EarlyCurve(
            unit="seconds after the onset",
            points=tuple(
                EarlyPoint(
                    accuracy=Estimate(value=0.7, lo=0.6, hi=0.8),
                    at=at,
                    n_windows=int(at) * 10,
                    phases=PHASES[:2],
                    macro_f1=_share(score - 0.1 + at / 1000),
                    attack_recall=_share(score - 0.1 + at / 400),
                    share_detected=_share(score - 0.15 + at / 300),
                )
                for at in (5.0, 20.0, 60.0)
            ),
        ),
        confusion=Confusion(phases=PHASES, counts=matrix),
        untested=(Untested(kind="phase", name="dormant", n_test=3, reason="3 test episodes, 5 needed"),),
        validation_macro_f1=_estimate(round(score + 0.05, 4)),
        as_recorded=stratum(0.05, 60),
        schema_sha256="ab" * 32,
        checkpoint_sha256="cd" * 32,
    )


def sample_inputs(clock: float = 0.24) -> ReportInputs:
    """A small report in which most things happen."""
    models = [("gbt", 0.61), ("gru", 0.57)]
    rows = [sample_evaluation(m, "realistic", s) for m, s in models]
    rows += [sample_evaluation(m, "oracle", s + 0.1) for m, s in models]
    baselines = [
        sample_evaluation("majority", "baseline", 0.12),
        sample_evaluation("clock", "baseline", clock),
    ]
    paired = [
        PairedDifference(
            model=model, reference=reference, difference=_estimate(gap), p=p, p_holm=round(min(1.0, 4 * p), 4)
        )
        for model, reference, gap, p in (
            ("gbt_realistic", "majority", 0.49, 0.0002),
            ("gbt_realistic", "clock", 0.04, 0.21),
            ("gru_realistic", "majority", 0.45, 0.0002),
            ("gbt_oracle", "gbt_realistic", 0.1, 0.004),
        )
    ]
    return ReportInputs(
        recipe="host",
        store="rlstir-lab",
        synthetic=True,
        models=tuple(rows),
        baselines=tuple(baselines),
        chance=0.2,
        paired=tuple(paired),
        gaps=(
            SplitGap(
                model="gbt_realistic",
                random=_estimate(0.86),
                held_out=_estimate(0.61),
                gap=_estimate(0.25, 0.07),
            ),
        ),
        split=SplitDescription(
            recipe="host",
            words="whole hosts are held apart: trained on host-t, tested on host-a and host-b",
            train=SplitSide(episodes=120, windows=8000, hosts=("host-t",), samples=("s0", "s1")),
            folds=3,
            test=SplitSide(
                episodes=60,
                windows=1800,
                hosts=("host-a", "host-b"),
                samples=("s0", "s3"),
                degraded=15,
                causes=(Cause(reason="channel.missing", source="netflow", episodes=15),),
            ),
            excluded=(Excluded(kind="sample", name="s9", reason="rejected, archive.truncated"),),
            coverage=(Coverage(kind="phase", name="dormant", train=60, test=3),),
            checks=("no episode stands on two sides",),
        ),
        untested=(
            Untested(kind="phase", name="dormant", n_test=3, reason="3 test episodes, 5 needed"),
            Untested(kind="profile", name="scan-and-dial", n_test=0, reason="no test episode"),
        ),
        quality=DataQuality(
            index_lines=211,
            index_records=212,
            index_faults=(IndexFault(line=17, detail="two records in one line, both kept"),),
            hosts=(
                HostQuality(host="host-a", ok=30, degraded=0, rejected=0, clock_offset_s=0.003, clock_drift_ppm=4.2),
                HostQuality(
                    host="host-b",
                    ok=9,
                    degraded=20,
                    rejected=1,
                    causes=(
                        Cause(reason="channel.missing", source="netflow", episodes=20),
                        Cause(reason="archive.truncated", episodes=1),
                    ),
                ),
            ),
            logs=(
                LogQuality(
                    channel="auth",
                    rows=12_000,
                    unparsed=3,
                    untimed=0,
                    bare=0,
                    cut=0,
                    year_assumed=40,
                    zone_assumed=12_000,
                ),
            ),
            low_diversity=(LowDiversity(profile="cpu-saturate", samples=1, episodes=40),),
            bad_rows=(BadRows(host="host-b", source="perf", read=100_000, dropped=12),),
            rejected=(
                Rejected(
                    host="host-b",
                    path="episodes/host-b/ep-9.tar.zst",
                    reason="archive.truncated",
                    detail="the tar ends inside a member; send the file again",
                ),
            ),
            first_wall_ns=1_767_607_200_000_000_000,
            last_wall_ns=1_769_421_600_000_000_000,
        ),
        probes=(
            LeakProbe(name="stump AUROC", value=0.77, bound=0.8, verdict="ok", detail="the best single feature"),
            LeakProbe(name="metadata only", value=0.41, bound=0.25, verdict="leak", detail="above chance"),
        ),
        manifest=Manifest(
            versions={"rlstir": "0.1.0"},
            config={"preset": "smoke", "seed": 0},
            hashes={"schema": "ab" * 32, "evaluation_inputs": "cd" * 32},
            counts={"episodes read": 212, "episodes dropped": 1},
        ),
        facts={"preset": "smoke"},
        pictures={
            "forest": "plots/forest.png",
            "confusion": "plots/confusion.png",
            "early": "plots/early.png",
            "honesty": "plots/honesty.png",
        },
        honesty=sample_honesty(),
        drift=sample_drift(),
    )


def sample_honesty() -> Honesty:
    """Four splits of six: detectors lose what the easier one flatters, techniques do not, knowledge cannot be told."""

    def row(model: str, figure: str, cells: dict[str, Estimate], gap: Estimate, **more: object) -> HonestyRow:
        return HonestyRow(model=model, figure=figure, cells=cells, inflation=gap, **more)  # type: ignore[arg-type]

    noted = Estimate(value=0.3, note="n = 18 test episodes, no interval below 20")
    gbt = {"random": _estimate(0.86), "time": _estimate(0.74), "host": _estimate(0.61), "loho": _estimate(0.59)}
    gru = {"random": _estimate(0.62), "time": _estimate(0.6), "host": _estimate(0.57), "loho": _estimate(0.55)}
    return Honesty(
        columns=(
            SplitColumn(recipe="random", n_test_episodes=54, n_log_episodes=50, prevalence=0.6),
            SplitColumn(recipe="time", n_test_episodes=50, n_log_episodes=50, prevalence=0.6),
            SplitColumn(recipe="host", n_test_episodes=60, n_log_episodes=58, prevalence=0.64),
            SplitColumn(recipe="loho", n_test_episodes=180),
        ),
        rows=(
            row("gbt", "macro F1", gbt, _estimate(0.25, 0.07), mode="realistic", chosen=True, shared=18),
            row("gru", "macro F1", gru, _estimate(0.05, 0.07), mode="realistic", shared=18),
            row("encoder", "technique micro F1", {"random": _estimate(0.4), "host": _estimate(0.34)}, _estimate(0.06)),
            row("knowledge", "technique micro F1", {"random": noted, "host": noted}, Estimate(value=0.0)),
            row("encoder", "risk, average precision", {"random": _share(0.9), "host": _share(0.8)}, _estimate(0.1)),
        ),
        easy="random",
        strict="host",
        partly=("dormant",),
        left_out=(LeftOut(recipe="sample", reason="preset is rtx4060 there and smoke here"),),
        missing=("corpus",),
        remedy=("--set", "train.batch=64"),
    )


@pytest.fixture(name="sample_inputs", scope="session")
def _sample_inputs() -> Callable[..., ReportInputs]:
    return sample_inputs


@pytest.fixture(name="sample_evaluation")
def _sample_evaluation() -> Callable[..., ModelEvaluation]:
    return sample_evaluation
