"""The evaluation of who investigates: every policy acts in the test side's cases; then labels are read, it is judged.

Other people's agents act in the same cases, and are judged beside the policies.

What does not belong here: fitting policies (`investigator/acting/`), figures (`judging.py`) and the report's words.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.atomic import canonical_sha256, sweep, write_json
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.split import Split
from rlstir_core.datasets.store import read_split
from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.evaluation.acting.judging import judge
from rlstir_core.evaluation.acting.recording import RuleSpan, recorded, rule_spans
from rlstir_core.evaluation.acting.records import AGENT, ALL_AT_ONCE, AgentJudged, InvestigationEvaluation
from rlstir_core.evaluation.acting.table import InvestigationWriter, merged, read_runs
from rlstir_core.evaluation.acting.truth import EpisodeTruth, TrueStretch
from rlstir_core.evaluation.acting.words import StoryWords
from rlstir_core.hostlogs.store import host_counts, opened_rows
from rlstir_core.investigator.acting.cases import case_set, recordings
from rlstir_core.investigator.acting.checkpoint import ActingCheckpoint, Actors, open_actors, read_acting
from rlstir_core.investigator.acting.roster import ORACLES, PPO, VARIANTS, program
from rlstir_core.investigator.acting.training import kept_acting
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.soc.budget import WITHOUT_END
from rlstir_core.investigator.soc.cases import CaseSet
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.row_truth import row_truth
from rlstir_core.learning.options import StudyOptions
from rlstir_core.progress import Tell
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import held_sha256
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version

_SAME = 1e-4  # of the belief by an alert alone


def evaluate_acting(study: InvestigatorStudy, tell: Tell) -> tuple[InvestigationEvaluation, bool]:
    """Lets every policy investigate the test side; the last value is False where nothing had changed since."""
    layout, recipe = study.layout, study.options.recipe
    with contextlib.ExitStack() as held:
        held.enter_context(holding(layout.lock("acting evaluation", recipe), waiting=tell))
        held.enter_context(holding(layout.lock("acting", recipe), shared=True, waiting=tell))
        checkpoint = _believed(study)
        key = _key(study, checkpoint)
        kept = read_acting_evaluation(layout, recipe)
        if kept is not None and kept.input_sha256 == key and _files_are_there(layout, recipe):
            return kept, False
        layout.acting_evaluation(recipe).unlink(missing_ok=True)
        for path in _tables(layout, recipe):
            sweep(path.parent, path.name)
        found = msgspec.structs.replace(
            _evaluate(study, checkpoint, tell), input_sha256=key, split_sha256=study.split.sha256
        )
        write_json(layout.acting_evaluation(recipe), msgspec.to_builtins(found))
        return found, True


def judge_agent(layout: Layout, recipe: str, command: str, tell: Tell) -> AgentJudged:
    """Lets somebody else's agent investigate the cases that all policies were judged on, and judges it beside them.

    Nothing is kept. UpstreamMissing where no policy was judged, AgentError where the agent breaks its contract.
    """
    with contextlib.ExitStack() as held:
        for name in ("acting evaluation", "acting"):
            held.enter_context(holding(layout.lock(name, recipe), shared=True, waiting=tell))
        split = read_split(layout, recipe)
        kept = read_acting_evaluation(layout, recipe, split)
        if kept is None or not _files_are_there(layout, recipe):
            raise UpstreamMissing(
                f"no policy of recipe {recipe} was judged under {layout.data}, so there is nothing to judge an agent "
                f"beside; make it with: {how_to_make('investigation_eval', recipe)}"
            )
        checkpoint = read_acting(layout, recipe)
        options = StudyOptions(recipe=recipe, preset=checkpoint.preset, split=split.settings)
        study = InvestigatorStudy(layout=layout, options=options, numbers=options.numbers(), split=split)
        private = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="rlstir-", ignore_cleanup_errors=True)))
        actors = open_actors(layout, checkpoint)
        of_test, of_validation = _tables(layout, recipe)
        of_validation, chosen = _beside(study, actors, command, of_validation, private / "validation", tell)
        of_test, test = _beside(study, actors, command, of_test, private / "test", tell)
        tell("reading the labels of the test side")
        found = judge(
            of_test,
            of_validation,
            [_truth(layout, info) for info in test],
            [_truth(layout, info) for info in chosen],
            budget=kept.budget,
            recipe=recipe,
            seed=kept.seed,
            draws=kept.draws,
        )
    return AgentJudged(
        command=command,
        recipe=recipe,
        about=found.about,
        n_test_episodes=found.n_test_episodes,
        n_test_hosts=found.n_test_hosts,
        budget=found.budget,
        agent=found.policies[AGENT],
        policies={name: each for name, each in found.policies.items() if name != AGENT},
        against=found.paired[AGENT],
    )


def _beside(
    study: InvestigatorStudy, actors: Actors, command: str, path: Path, made: Path, tell: Tell
) -> tuple[Path, list[EpisodeInfo]]:
    """A table with the agent's run beside those of `path`, and the episodes that it tells of."""
    layout, checkpoint = study.layout, actors.checkpoint
    alone, kept = made.with_suffix(".alone"), next(read_runs(path))
    episodes = study.split.select(kept.episode_E)
    cases = case_set(study, episodes, actors.belief.rows, checkpoint.alerts, tell)
    n_lanes = min(study.numbers.acting.lanes, len(cases))
    lanes = SocLanes(cases, actors.belief, actors.rewards, checkpoint.budget, n_lanes, once=True)
    agent = program(command, actors.belief, lanes)
    tell(f"the agent investigates {len(episodes):,} episodes")
    with contextlib.closing(agent), InvestigationWriter(alone) as writer:
        writer.add(AGENT, 0, recorded(agent, lanes, [_spans(layout, info) for info in episodes], checkpoint.seed))
    (own,) = read_runs(alone)
    alerts, before = (run.p_risk_N[run.first_E[:-1]] for run in (own, kept))
    if own.episode_E != kept.episode_E or not np.allclose(alerts, before, atol=_SAME):
        raise StoreError(
            f"{path} was written with another belief than today's, so an agent cannot be judged beside it; make it "
            f"again with: {how_to_make('investigation_eval', checkpoint.recipe)}"
        )
    merged([path, alone], made)
    return made, episodes


def acting_evaluation_is_current(study: InvestigatorStudy) -> bool:
    """Whether the evaluation on disk is what evaluating now would give."""
    checkpoint, recipe = kept_acting(study), study.options.recipe
    kept = read_acting_evaluation(study.layout, recipe)
    if checkpoint is None or kept is None:
        return False
    return kept.input_sha256 == _key(study, checkpoint) and _files_are_there(study.layout, recipe)


def read_acting_evaluation(layout: Layout, recipe: str, split: Split | None = None) -> InvestigationEvaluation | None:
    """What `evaluate_acting` wrote, of this very `split` where one is given; None where it did not."""
    try:
        found = msgspec.json.decode(layout.acting_evaluation(recipe).read_bytes(), type=InvestigationEvaluation)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if split is None or found.split_sha256 == split.sha256 else None


def forget_acting(layout: Layout, recipe: str) -> None:
    """Takes away what policies did on a test side that nothing can be judged on any more."""
    with holding(layout.lock("acting evaluation", recipe)):
        for path in (layout.acting_evaluation(recipe), *_tables(layout, recipe)):
            path.unlink(missing_ok=True)


def _tables(layout: Layout, recipe: str) -> tuple[Path, Path]:
    return layout.encoder_predictions(recipe, "investigations"), layout.acting_validation(recipe)


def _files_are_there(layout: Layout, recipe: str) -> bool:
    return all(path.exists() for path in _tables(layout, recipe))


def _believed(study: InvestigatorStudy) -> ActingCheckpoint:
    """The checkpoint of this very split and these numbers."""
    found = kept_acting(study)
    if found is None:
        recipe = study.options.recipe
        raise UpstreamMissing(
            f"{study.layout.acting(recipe)} is missing, damaged, or was made from other data, another split or "
            f"another preset than today's; make it with: {how_to_make('ppo_policy', recipe)}"
        )
    return found


def _key(study: InvestigatorStudy, checkpoint: ActingCheckpoint) -> str:
    return canonical_sha256(
        [
            version("investigation_eval"),
            checkpoint.input_sha256,
            checkpoint.files,
            study.split.sha256,
            [study.numbers.bootstrap_draws, study.numbers.acting.test_cases],
            [held_sha256(study.layout.log_events(host), "log_rows") for host in study.split.hosts],
        ]
    )


def _evaluate(study: InvestigatorStudy, checkpoint: ActingCheckpoint, tell: Tell) -> InvestigationEvaluation:
    layout, recipe, numbers = study.layout, study.options.recipe, study.numbers
    actors = open_actors(layout, checkpoint)
    test = recordings(study.test, numbers.acting.test_cases)
    chosen = recordings(study.sides[1], numbers.acting.cases)
    of_test, of_validation = _tables(layout, recipe)
    acted: list[list[EpisodeInfo]] = []
    for side, path, episodes in (("fold that chose", of_validation, chosen), ("test side", of_test, test)):
        cases = case_set(study, episodes, actors.belief.rows, checkpoint.alerts, tell)
        spans = [_spans(layout, info) for info in _with_rows(episodes, cases)]
        with InvestigationWriter(path) as writer:
            for name, seed, policy, lanes in _acting(actors, cases, numbers.acting.lanes):
                tell(f"{name} investigates the {side}")
                writer.add(name, seed, recorded(policy, lanes, spans, checkpoint.seed))
        acted.append(_with_rows(episodes, cases))
    tell("reading the labels of the test side")
    found = judge(
        of_test,
        of_validation,
        [_truth(layout, info) for info in acted[1]],
        [_truth(layout, info) for info in acted[0]],
        budget=checkpoint.budget,
        recipe=recipe,
        seed=checkpoint.seed,
        draws=numbers.bootstrap_draws,
        words=StoryWords(layout, test),
        ablations={words: name for name, words in VARIANTS.items() if name in checkpoint.variants},
    )
    return msgspec.structs.replace(found, synthetic=any(info.synthetic for info in test))


def _with_rows(episodes: Sequence[EpisodeInfo], cases: CaseSet) -> list[EpisodeInfo]:
    """Those that are cases, in the cases' order."""
    of = {info.episode_id: info for info in episodes}
    return [of[name] for name in cases.episodes]


def _acting(actors: Actors, cases: CaseSet, n_lanes: int) -> Iterator[tuple[str, int, Policy, SocLanes]]:
    """Every policy in lanes of its own, in the order of names and seeds; oracles look into their lanes."""
    seeds = actors.checkpoint.seeds
    of_name = {(name, 0): policy for name, policy in actors.policies.items()}
    for name, learnt in ((PPO, actors.ppo), *actors.variants.items()):
        of_name |= {(name, seed): policy for seed, policy in zip(seeds, learnt, strict=True)}
    for name, seed in sorted({*of_name, *((name, 0) for name in ORACLES)}):
        budget = WITHOUT_END if name == ALL_AT_ONCE else actors.checkpoint.budget
        lanes = SocLanes(cases, actors.belief, actors.rewards, budget, min(n_lanes, len(cases)), once=True)
        policy = of_name.get((name, seed)) or ORACLES[name](lanes)
        yield name, seed, policy, lanes


def _spans(layout: Layout, info: EpisodeInfo) -> Sequence[RuleSpan]:
    with opened_rows(layout, info.host, info.own_id) as file:
        return rule_spans(file.read(use_threads=False))


def _truth(layout: Layout, info: EpisodeInfo) -> EpisodeTruth:
    """Labels of one episode; only here are they read."""
    truth = row_truth(layout, info)
    rows: dict[str, Ints] = {}
    for technique in np.unique(truth.technique_M).tolist():
        rows[LABELS[technique]] = truth.row_M[truth.technique_M == technique]
    counts = host_counts(layout, info.host).get(info.own_id)
    stretches = () if counts is None else counts.tamper_spans
    with opened_rows(layout, info.host, info.own_id) as file:
        table = file.read(columns=["channel", "ts_ns"], use_threads=False)
    channel_N = np.array(table["channel"].to_pylist())
    ts_N = table["ts_ns"].to_numpy()
    return EpisodeTruth(
        episode_id=info.episode_id,
        host=info.host,
        attack=not info.benign,
        rows=rows if not info.benign else {},
        tamper=tuple(
            TrueStretch(channel=each.channel, t_start_wall_ns=each.t_start_wall_ns, t_end_wall_ns=each.t_end_wall_ns)
            for each in stretches
        ),
        times_ns={each.channel: np.sort(ts_N[channel_N == each.channel]) for each in stretches},
    )
