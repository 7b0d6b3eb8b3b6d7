"""From answers of parts to what is said of episodes, and from log-odds to probabilities by a fold that is held out."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from rlstir_core.investigator.answers import EpisodeAnswers, answers_of, risk_of
from rlstir_core.investigator.inputs import LogPart
from rlstir_core.investigator.network.heads import Answers
from rlstir_core.investigator.network.packing import sequences
from rlstir_core.investigator.pretraining import calibrated
from rlstir_core.investigator.pretraining.calibrated import AnswerCalibration
from rlstir_core.investigator.pretraining.taught import Taught
from rlstir_core.investigator.techniques.row_truth import RowTruth

K = 3


class Said:
    """A network that says of a row its number among all rows of its episode, and of technique 1 that it shows it."""

    first_look = None

    def eval(self) -> None:
        return

    def __call__(self, batch: Any) -> Answers:
        row_X = batch.look_X
        technique_XK = torch.zeros(len(row_X), K)
        technique_XK[:, 1] = 50.0
        return Answers(row_X, -row_X, technique_XK, torch.arange(K).expand(len(batch.episodes), K).float())


class Parts:
    """Parts of episodes in batches as given."""

    def __init__(self, batches: list[list[LogPart]], n_episodes: int) -> None:
        self._batches, self.n_episodes = batches, n_episodes
        self.parts = [part for batch in batches for part in batch]

    def look_by(self, ask: object) -> None:
        return

    def batches(self, _: torch.device) -> Iterator[tuple[list[int], Any]]:
        place = 0
        for batch in self._batches:
            rows = [torch.arange(part.first, max(part.last, part.first + 1)).float() for part in batch]
            yield (
                list(range(place, place + len(batch))),
                SimpleNamespace(look_X=torch.cat(rows), episodes=sequences([len(each) for each in rows])),
            )
            place += len(batch)


def part(episode: int, first: int, last: int, *, digest: bool = False) -> LogPart:
    return LogPart(episode=episode, first=first, last=last, digest=digest)


def test_parts_of_an_episode_are_joined_in_order_over_batches_and_one_without_rows_says_nothing() -> None:
    parts = Parts([[part(0, 0, 3)], [part(0, 3, 5), part(1, 0, 0), part(2, 0, 4, digest=True)], [part(3, 0, 1)]], 4)
    found = list(answers_of(Said(), parts, torch.device("cpu")))  # type: ignore[arg-type]
    assert [each.attack_N.tolist() for each in found] == [[0, 1, 2, 3, 4], [], [], [0]]
    assert found[0].tamper_N.tolist() == [0, -1, -2, -3, -4] and found[0].look_N.tolist() == [0, 1, 2, 3, 4]
    best = np.log(1 / (1 + np.exp(-np.array([2.0, 3.0, 4.0])))).mean()
    assert found[0].technique_K[1] == pytest.approx(best, abs=1e-5) and found[0].technique_K[0] == -30
    assert found[1].technique_K.tolist() == [-30] * K and found[1].risk == -30
    assert found[2].technique_K.tolist() == [0, 1, 2]  # a file's own log-odds


def test_the_risk_of_an_episode_is_told_by_its_highest_rows() -> None:
    rows = np.arange(200, dtype=np.float32)
    assert risk_of(rows) == np.arange(186, 200).mean() == 192.5  # 7 % of them
    assert risk_of(rows[:2]) == 1.0
    assert risk_of(np.arange(100, dtype=np.float32), 50_000) == np.arange(25, 100).mean()  # 75 of them at most


def calibrate(answers: list[EpisodeAnswers], truth: Taught) -> AnswerCalibration:
    """By a fold whose base rates are those of what was learnt from."""
    return calibrated.calibrate(answers, truth, truth)


def said(attack: list[float], technique: list[float] | None = None) -> EpisodeAnswers:
    attack_N = np.array(attack, np.float32)
    return EpisodeAnswers(
        attack_N=attack_N,
        tamper_N=-attack_N,
        technique_K=np.array(technique or [0.0] * K),
        risk=risk_of(attack_N),
        look_N=attack_N * 2,
    )


def held(attacks: list[list[bool] | None], technique_EK: list[list[int]]) -> Taught:
    """Episodes by which of their rows are attacks; None for a file."""
    return Taught(
        technique_EK=np.array(technique_EK, np.bool_),
        attack_E=np.array([any(rows or ()) for rows in attacks], np.bool_),
        rows_E=np.array([rows is not None for rows in attacks], np.bool_),
        truth=[
            None
            if rows is None
            else RowTruth(
                attack_N=np.array(rows, np.bool_),
                row_M=np.zeros(0, np.int64),
                technique_M=np.zeros(0, np.int64),
                tampered_N=np.zeros(len(rows), np.bool_),
            )
            for rows in attacks
        ],
    )


def recordings(n_attacks: int, n_honest: int) -> tuple[list[EpisodeAnswers], Taught]:
    """Attacks whose second row stands out, beside honest episodes."""
    answers = [said([-3.0, 4.0 + e % 3, -2.0], [-0.5, -9.0, -9.0]) for e in range(n_attacks)]
    answers += [said([-3.0, -4.0 - e % 3, -2.0], [-8.0, -9.0, -9.0]) for e in range(n_honest)]
    rows: list[list[bool] | None] = [[False, True, False]] * n_attacks + [[False] * 3] * n_honest
    return answers, held(rows, [[1, 0, 0]] * n_attacks + [[0, 0, 0]] * n_honest)


def test_rows_and_risks_become_probabilities_and_techniques_a_threshold() -> None:
    answers, truth = recordings(6, 6)
    found = calibrate(answers, truth)
    assert found.attack[0] > 0 and found.look_attack[0] > 0 and found.tamper == (1.0, 0.0)  # nothing was tampered with
    assert found.p_risk(answers[0]) > 0.5 > found.p_risk(answers[-1])
    assert found.p_look(answers[0]) > 0.5 > found.p_look(answers[-1])
    assert found.p_attack_N(answers[0]).argmax() == 1 and found.p_look_N(answers[0]).argmax() == 1
    assert (found.p_tamper_N(answers[0]) < 1).all()
    named = found.naming(rows=True).named(np.stack([found.score_K(each, rows=True) for each in answers]))
    assert named.tolist() == truth.technique_EK.tolist()
    assert np.isfinite(found.naming(rows=True).threshold) and found.name_file == found.name_rows


@pytest.mark.parametrize(("attacks", "honest"), [(4, 20), (20, 4)])
def test_a_risk_is_fitted_only_where_there_are_enough_episodes_of_both_kinds(attacks: int, honest: int) -> None:
    found = calibrate(*recordings(attacks, honest))
    assert found.risk == AnswerCalibration().risk and found.look_risk == AnswerCalibration().look_risk
    assert found.attack != AnswerCalibration().attack


def test_rows_that_would_turn_ranks_around_leave_them_as_they_are() -> None:
    answers, truth = recordings(6, 6)
    turned = [said((-each.attack_N).tolist()) for each in answers]
    assert calibrate(turned, truth).attack == (1.0, 0.0)
    of_one_kind = [each for each in truth.truth if each is not None][6:]
    assert not any(each.attack_N.any() for each in of_one_kind)
    assert calibrate(answers[6:], truth.among(range(6, 12))).attack == (1.0, 0.0)


def test_files_are_named_by_a_temperature_and_a_threshold_of_their_own() -> None:
    bold = [said([], [9.0, -9.0, -9.0]), said([], [-9.0, 9.0, -9.0]), said([], [9.0, -9.0, -9.0])]
    truth = held([None] * 3, [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    found = calibrate(bold, truth)
    assert found.temperature > 1.5 and found.attack == (1.0, 0.0)  # it was wrong as often as it was sure
    assert found.score_K(bold[0], rows=False)[0] < 1 / (1 + np.exp(-9.0))
    assert found.name_file == found.name_rows and np.isfinite(found.naming(rows=False).threshold)


def test_a_fold_without_any_technique_names_nothing_and_says_so_in_json() -> None:
    found = calibrate(*recordings(0, 6))
    assert found.name_rows == found.name_file == (None, None)
    assert not found.naming(rows=True).named(np.ones((1, K))).any()
