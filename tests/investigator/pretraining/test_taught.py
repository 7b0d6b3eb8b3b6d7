"""What the truth teaches: rows, techniques of rows and of files, and nothing of what no train episode carries."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from logs_world import BACK, EMPTY, LogsWorld

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.inputs import LogPart
from rlstir_core.investigator.network.heads import Answers
from rlstir_core.investigator.pretraining.taught import Taught, base_log_odds, loss_of, taught_of
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.row_truth import RowTruth, row_truth

K = 4
ASKED = np.array([True, True, True, False])


def truth(n: int, techniques: dict[int, int], tampered: tuple[int, ...] = ()) -> RowTruth:
    """Rows of an episode, of which some show a technique each."""
    return RowTruth(
        attack_N=np.isin(np.arange(n), list(techniques)),
        row_M=np.array(list(techniques), np.int64),
        technique_M=np.array(list(techniques.values()), np.int64),
        tampered_N=np.isin(np.arange(n), tampered),
    )


def taught(*rows: RowTruth | None, files: bool = True) -> Taught:
    technique_EK = np.zeros((len(rows), K), np.bool_)
    technique_EK[:, 0] = True
    known_E = np.array([each is not None for each in rows])
    return Taught(technique_EK=technique_EK, attack_E=known_E, rows_E=known_E, truth=list(rows), files=files)


def part(episode: int, first: int, last: int, *, digest: bool = False) -> LogPart:
    return LogPart(episode=episode, first=first, last=last, digest=digest)


def answers(n_rows: int, n_parts: int) -> Answers:
    """Undecided of everything."""
    shapes = ((n_rows,), (n_rows,), (n_rows, K), (n_parts, K))
    return Answers(*(torch.zeros(shape, requires_grad=True) for shape in shapes))


def gradients(said: Answers, *given: Any) -> list[np.ndarray[Any, Any]]:
    """Of the loss by attack, tampering, techniques of rows and of files; none is 0 everywhere."""
    loss_of(said, *given).backward()
    return [np.zeros(each.shape) if each.grad is None else each.grad.numpy() for each in said]


def test_rows_are_asked_for_an_attack_for_tampering_and_where_one_ran_for_which_technique() -> None:
    of = taught(truth(4, {1: 0, 2: 2}, tampered=(3,)))
    attack, tamper, technique, file = gradients(answers(4, 1), [4], of, [part(0, 0, 4)], ASKED)
    assert np.sign(attack).tolist() == [1, -1, -1, 1] and np.sign(tamper).tolist() == [1, 1, 1, -1]
    assert not technique[[0, 3]].any() and technique[1].argmin() == 0 and technique[2].argmin() == 2
    assert not file.any()


def test_of_techniques_that_no_train_episode_carries_nothing_is_asked() -> None:
    of = taught(truth(2, {0: 3, 1: 1}), None)  # the fold that chooses carries one, 3, that no train episode does
    of.technique_EK[1, 3] = True
    _, _, technique, file = gradients(answers(4, 2), [2, 2], of, [part(0, 0, 2), part(1, 0, 2, digest=True)], ASKED)
    assert not technique[0].any() and technique[1].any() and not technique[:, 3].any()
    assert not file[:, 3].any() and file[1, :3].all()


def test_a_part_is_taught_by_its_own_rows_and_weighs_as_much_as_a_short_one() -> None:
    of = taught(truth(10, {8: 1}))
    rest = gradients(answers(4, 1), [4], of, [part(0, 6, 10)], ASKED)
    assert np.sign(rest[0]).tolist() == [1, 1, -1, 1] and rest[2][2].argmin() == 1
    first, of_both = loss_of(answers(6, 1), [6], of, [part(0, 0, 6)], ASKED), [part(0, 0, 6), part(0, 6, 10)]
    second = loss_of(answers(4, 1), [4], of, [part(0, 6, 10)], ASKED)
    both = loss_of(answers(10, 2), [6, 4], of, of_both, ASKED)
    assert first.item() == pytest.approx((4.0 + 0.5) * np.log(2)) and second.item() > first.item()
    assert both.item() == pytest.approx((first + second).item())


def test_an_episode_without_a_row_teaches_nothing() -> None:
    said = answers(1, 1)  # a batch holds an empty row for it
    assert not any(each.any() for each in gradients(said, [1], taught(truth(0, {})), [part(0, 0, 0)], ASKED))


@pytest.mark.parametrize("files", [True, False])
def test_a_digest_teaches_its_files_techniques_only_where_files_are_asked(files: bool) -> None:
    of = taught(None, files=files)
    attack, tamper, technique, file = gradients(answers(3, 1), [3], of, [part(0, 0, 3, digest=True)], ASKED)
    assert not attack.any() and not tamper.any() and not technique.any()
    assert np.sign(file).tolist() == ([[-1, 1, 1, 0]] if files else [[0, 0, 0, 0]])


def test_some_episodes_keep_what_is_known_of_them() -> None:
    of = taught(truth(2, {0: 1}), None, truth(3, {}), files=False)
    some = of.among([2, 1])
    assert some.truth == [of.truth[2], None] and some.rows_E.tolist() == [True, False] and not some.files
    assert of.carried_K.tolist() == [True, False, False, False]
    assert np.allclose(base_log_odds(of.technique_EK), np.log([3.5 / 0.5, *[0.5 / 3.5] * 3]))


def test_the_truth_of_rows_is_read_in_the_order_of_their_table(world: LogsWorld) -> None:
    study = world.study()
    infos = {info.episode_id: info for info in study.split.episodes}
    last = infos["ep-west-7"]
    found = row_truth(study.layout, last)
    assert set(np.flatnonzero(found.attack_N)) == set(found.row_M.tolist()) and 0 < found.attack_N.sum() <= 4
    carried = taught_of(study.layout, [last])
    assert set(found.technique_M.tolist()) == set(np.flatnonzero(carried.technique_EK[0]).tolist())
    assert found.tampered_N.sum() == len(BACK) and carried.attack_E.tolist() == [True]
    empty = row_truth(study.layout, infos[f"ep-{EMPTY[0]}-{EMPTY[1]}"])
    assert len(empty.attack_N) == len(empty.tampered_N) == len(empty.row_M) == 0
    assert taught_of(study.layout, [last], rows=False).truth == [None]
    assert LABELS[int(found.technique_M[0])].startswith("T1")


def side(*episodes: tuple[str, str]) -> list[EpisodeInfo]:
    return [SimpleNamespace(profile=profile, corpus=corpus) for profile, corpus in episodes]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("learnt", "chosen", "asked"),
    [
        ([("imported-logs", "a")], [("imported-logs", "b")], True),
        ([("imported-logs", "a")], [("imported-logs", "a")], False),
        ([("imported-logs", "a"), ("imported-logs", "b")], [("imported-logs", "b")], False),
        ([("io-walk", "a")], [("imported-logs", "b")], False),
        ([("imported-logs", "a")], [("io-walk", "b")], False),
    ],
)
def test_files_teach_only_where_files_of_another_corpus_choose(
    world: LogsWorld, learnt: list[tuple[str, str]], chosen: list[tuple[str, str]], asked: bool
) -> None:
    study: InvestigatorStudy = world.study()
    study.__dict__["sides"] = (side(*learnt), side(*chosen))
    assert study.asks_files is asked
