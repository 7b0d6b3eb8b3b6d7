"""What is believed of revealed rows: pooling step by step, fitting, and files."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rlstir_core.errors import CheckpointError
from rlstir_core.investigator.belief.detector import Belief, read_belief, write_belief
from rlstir_core.investigator.belief.fit import Glimpse, TaughtCase, calibrate, fit_head, pooled
from rlstir_core.investigator.belief.head import N_ANSWERS, BeliefHead
from rlstir_core.investigator.belief.row_model import (
    NAMING_SLOTS,
    NAMING_WORDS,
    RowModel,
    common_techniques,
    fit_row_models,
)
from rlstir_core.investigator.belief.words import SLOTS_ALONE, WordsAlone
from rlstir_core.investigator.reading.hashing import WORDS
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.row_truth import RowTruth

K = 3


def _head(by_tree: bool = True) -> BeliefHead:
    torch.manual_seed(1)
    head = BeliefHead(torch.tensor([4, 7, 9]), torch.full((len(LABELS),), -3.0), by_tree)
    for each in head.parameters():
        torch.nn.init.normal_(each, std=0.3)
    return head.eval().requires_grad_(False)


def _rows(spread: float) -> RowModel:
    rng = np.random.default_rng(0)
    return RowModel(
        weight_SW=rng.normal(0, spread, (SLOTS_ALONE, WORDS)).astype(np.float32),
        bias=-1.0,
        naming_KV=rng.normal(0, spread, (K, NAMING_SLOTS * NAMING_WORDS)).astype(np.float32),
        naming_K=np.zeros(K, np.float32),
    )


def _case(rng: np.random.Generator, attack: bool) -> TaughtCase:
    n = 60
    vector_ND = rng.normal(-4, 1, (n, 2 + K)).astype(np.float16)
    if attack:
        vector_ND[rng.choice(n, 20, replace=False), 0] = 3.0
    truth_A = np.zeros(N_ANSWERS, np.float32)
    truth_A[0] = attack
    return TaughtCase(vector_ND=vector_ND, tree_N=rng.integers(0, 5, n).astype(np.int32), truth_A=truth_A)


def _glimpses(rng: np.random.Generator, n_cases: int) -> list[Glimpse]:
    sizes = rng.integers(10, 60, size=8 * n_cases)
    return [
        Glimpse(case=k % n_cases, row_M=rng.choice(60, n, replace=False).astype(np.int32)) for k, n in enumerate(sizes)
    ]


def test_rows_that_come_page_by_page_are_believed_as_rows_that_come_at_once() -> None:
    rng, head = np.random.default_rng(0), _head()
    cases = [_case(rng, attack) for attack in (True, False, True)]
    belief = Belief(rows=_rows(0.0), head=head)
    pool = belief.pool(3, 5)
    pool.add(
        np.array([1, 1]), np.array([0, 2]), cases[0].vector_ND[:2].astype(np.float32)
    )  # of a case that lane 1 forgets
    pool.clear(np.array([1]))
    for first in range(0, 60, 8):
        rows = np.arange(first, min(60, first + 8))
        lane_M = np.repeat(np.arange(3), len(rows))
        tree_M = np.concatenate([case.tree_N[rows] for case in cases])
        pool.add(lane_M, tree_M, np.concatenate([case.vector_ND[rows] for case in cases], dtype=np.float32))
    whole = [Glimpse(case=k, row_M=np.arange(60, dtype=np.int32)) for k in range(3)]
    expected = torch.sigmoid(head(pooled(head, cases, whole))).numpy()
    np.testing.assert_allclose(pool.answers(), expected, atol=1e-5)


def test_what_is_known_of_nothing_is_the_same_for_every_case() -> None:
    pool = Belief(rows=_rows(0.0), head=_head()).pool(2, 5)
    np.testing.assert_array_equal(pool.answers()[0], pool.answers()[1])


def test_the_head_learns_attacks_from_glimpses_and_is_calibrated_on_other_cases() -> None:
    rng = np.random.default_rng(0)
    cases = [_case(rng, attack=k % 2 == 0) for k in range(40)]
    head = fit_head(cases, _glimpses(rng, 40), np.array([4, 7, 9]), 0, lambda _: None, 60)
    others = [_case(rng, attack=k % 2 == 0) for k in range(40)]
    glimpses = _glimpses(rng, 40)
    calibrate(head, others, glimpses)
    with torch.no_grad():
        p_G = torch.sigmoid(head(pooled(head, others, glimpses)))[:, 0].numpy()
    truth_G = np.array([others[each.case].truth_A[0] for each in glimpses]) > 0
    assert p_G[truth_G].min() > p_G[~truth_G].max()
    assert abs(p_G.mean() - truth_G.mean()) < 0.05


def _words(rng: np.random.Generator, attack: bool) -> tuple[WordsAlone, RowTruth]:
    """Ten rows of two texts; the second text has a word that only attacks say."""
    texts = [rng.integers(10, 200, 6), np.append(rng.integers(10, 200, 5), 5 if attack else 6)]
    text_NS = np.full((10, SLOTS_ALONE), -1, np.int32)
    text_NS[:, 0] = np.arange(10) % 2
    words = WordsAlone(
        word_ptr=np.array([0, 6, 12], np.int32),
        word_W=np.concatenate(texts).astype(np.int32),
        text_NS=text_NS,
        rules_N=np.zeros(10, np.float32),
    )
    attack_N = (np.arange(10) % 2 == 1) & attack
    row_M = np.flatnonzero(attack_N)
    technique_M = np.full(len(row_M), 7)
    return words, RowTruth(attack_N=attack_N, row_M=row_M, technique_M=technique_M, tampered_N=np.zeros(10, np.bool_))


def test_the_vectors_of_training_rows_come_from_a_model_that_saw_nothing_of_their_host() -> None:
    rng = np.random.default_rng(0)
    made = [_words(rng, attack=k % 2 == 0) for k in range(30)]
    words, truths = [each[0] for each in made], [each[1] for each in made]
    hosts = [f"h{k % 6}" for k in range(30)]
    technique_K = common_techniques(truths)
    assert technique_K.tolist() == [7]
    mean, models, fold_E = fit_row_models(words, truths, hosts, technique_K, 0, lambda _: None)
    assert all(len({fold for host, fold in zip(hosts, fold_E, strict=True) if host == own}) == 1 for own in set(hosts))
    others = [
        RowTruth(
            attack_N=~truth.attack_N, row_M=truth.row_M, technique_M=truth.technique_M, tampered_N=truth.tampered_N
        )
        if fold == 1
        else truth
        for truth, fold in zip(truths, fold_E, strict=True)
    ]
    _, again, _ = fit_row_models(words, others, hosts, technique_K, 0, lambda _: None)
    np.testing.assert_array_equal(models[1].weight_SW, again[1].weight_SW)
    assert not np.array_equal(models[0].weight_SW, again[0].weight_SW)
    assert mean.scores(words[0])[1, 0] > 0 > mean.scores(words[1])[1, 0]


def test_a_technique_is_as_likely_as_the_attack_and_its_share_of_it() -> None:
    rng = np.random.default_rng(0)
    words, _ = _words(rng, True)
    score_ND = _rows(0.5).scores(words)
    p_ND = 1 / (1 + np.exp(-score_ND))
    np.testing.assert_allclose(p_ND[:, 1:].sum(axis=1), p_ND[:, 0], rtol=1e-4)


def test_a_belief_is_read_as_it_was_written_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "belief.safetensors"
    written = write_belief(path, Belief(rows=_rows(0.5), head=_head()))
    read, words = read_belief(path), _words(rng, True)[0]
    np.testing.assert_array_equal(read.vectors(words), written.vectors(words))
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(CheckpointError, match="holds no belief"):
        read_belief(path)


def test_what_is_foreseen_is_what_is_believed_afterwards_and_changes_nothing() -> None:
    rng, head = np.random.default_rng(0), _head()
    case = _case(rng, True)
    pool = Belief(rows=_rows(0.0), head=head).pool(2, 5)
    rows = np.arange(12)
    given = np.ones(12, np.int64), case.tree_N[rows].astype(np.int64), case.vector_ND[rows].astype(np.float32)
    pool.add(*given)
    before = pool.answers()
    rows = np.arange(12, 30)
    given = np.zeros(18, np.int64), case.tree_N[rows].astype(np.int64), case.vector_ND[rows].astype(np.float32)
    foreseen = pool.foreseen(*given)
    np.testing.assert_array_equal(pool.answers(), before)
    pool.add(*given)
    np.testing.assert_array_equal(pool.answers(), foreseen)


def test_without_the_graph_it_matters_neither_which_tree_a_row_is_of_nor_whose_process_it_is() -> None:
    rng, head = np.random.default_rng(0), _head(by_tree=False)
    case = _case(rng, True)
    one = replace(case, tree_N=np.zeros_like(case.tree_N))
    pools = [Belief(rows=_rows(0.0), head=head).pool(1, 5) for _ in range(2)]
    for pool, each in zip(pools, (case, one), strict=True):
        pool.add(np.zeros(60, np.int64), each.tree_N.astype(np.int64), each.vector_ND.astype(np.float32))
    np.testing.assert_array_equal(pools[0].answers(), pools[1].answers())
    words, _ = _words(rng, True)
    beside = replace(words, text_NS=np.where(np.arange(SLOTS_ALONE) == 1, 1, words.text_NS))
    np.testing.assert_array_equal(beside.own.text_NS, words.text_NS)
