"""The first look: words and pairs of words in and around a row, and that no episode is scored by what it taught."""

from __future__ import annotations

from typing import Any

import numpy as np
from little_batches import little_shown, little_view

from rlstir_core.investigator.first_look import AROUND, LookedAt, around, fit_first_look
from rlstir_core.investigator.reading.hashing import hashed
from rlstir_core.investigator.reading.slots import SLOTS

EPISODES = 12
HONEST = ("ls home", "cat notes", "git pull", "make all", "vim todo")


def told(_: str) -> None:
    return


def looked_at(e: int, *, planted: str = "mimikatz", label: bool = True) -> LookedAt:
    """Rows of an episode: one of them has a word that only attacks have."""
    rows = [(HONEST[(e + k) % len(HONEST)], -1) for k in range(8)]
    rows[e % 8] = (f"run {planted} now", -1)
    shown = little_shown(little_view(rows))
    return shown.words_UW, shown.slots_XS, np.arange(8) == (e % 8 if label else -1)


def scores_of(look: Any, text: str) -> float:
    shown = little_shown(little_view([(text, -1)]))
    return float(look.scores(shown.words_UW, shown.slots_XS)[0])


def test_a_word_that_only_attacks_have_is_learnt() -> None:
    fitted = fit_first_look(range(EPISODES), looked_at, 0, told)
    assert fitted is not None
    mean = fitted[0]
    assert scores_of(mean, "run mimikatz now") > 2 and all(scores_of(mean, text) < 0 for text in HONEST)
    again = fit_first_look(range(EPISODES), looked_at, 0, told)
    assert again is not None and np.array_equal(mean.weight_SW, again[0].weight_SW)


def test_no_model_scores_an_episode_that_it_was_fitted_on() -> None:
    """Every episode has a word of its own: whichever model knows it has seen the episode."""
    parts = [e for e in range(EPISODES) for _ in range(2)]  # an episode has several parts

    def opened(at: int) -> LookedAt:
        return looked_at(parts[at], planted=f"secret{parts[at]}")

    fitted = fit_first_look(parts, opened, 0, told)
    assert fitted is not None
    mean, models, fold_of = fitted
    assert sorted(fold_of) == list(range(EPISODES)) and len(set(fold_of.values())) == len(models) == 4
    row = SLOTS.index("row")
    for episode, fold in fold_of.items():
        (column,) = hashed([f"secret{episode}"]).indices
        assert models[fold].weight_SW[row, column] == 0
        assert all(model.weight_SW[row, column] > 0 for k, model in enumerate(models) if k != fold)
        assert mean.weight_SW[row, column] > 0


def test_where_nothing_is_an_attack_there_is_no_first_look() -> None:
    assert fit_first_look(range(EPISODES), lambda e: looked_at(e, label=False), 0, told) is None
    assert fit_first_look([], looked_at, 0, told) is None


def test_labels_that_say_nothing_teach_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = {e: rng.permutation(8) == 0 for e in range(60)}
    fitted = fit_first_look(range(60), lambda e: (*looked_at(e)[:2], labels[e]), 0, told)
    assert fitted is not None
    _, models, fold_of = fitted
    scores, truth = [], []
    for e in range(60):
        words, slots, _ = looked_at(e)
        scores.append(models[fold_of[e]].scores(words, slots))
        truth.append(labels[e])
    score_N, attack_N = np.concatenate(scores), np.concatenate(truth)
    right = (score_N[attack_N][:, None] > score_N[~attack_N]).mean()
    right += (score_N[attack_N][:, None] == score_N[~attack_N]).mean() / 2
    assert 0.4 < right < 0.6  # AUROC


def test_what_stands_around_a_row_is_of_its_process_that_one_s_family_and_its_neighbours() -> None:
    score = np.array([1.0, 2.0, -3.0, 4.0])
    process, parent = np.array([0, 1, 1, -1], np.int32), np.array([-1, 0], np.int32)
    found = dict(zip(AROUND, around(score, process, parent).T.tolist(), strict=True))
    assert found["row"] == score.tolist()
    assert found["process"] == [1, 2, 2, -8] and found["parent's process"] == [-8, 1, 1, -8]
    assert found["children"] == [2, -8, -8, -8] and found["siblings"] == [-8, 2, 2, -8]
    assert found["grandparent's process"] == [-8, -8, -8, -8]
    mean = np.log(np.exp(score).sum() / 9)
    assert np.allclose(found["9 rows"], mean) and np.allclose(found["41 rows"], mean - np.log(41 / 9))
    assert around(np.zeros(0), np.zeros(0, np.int32), parent).shape == (0, len(AROUND))
