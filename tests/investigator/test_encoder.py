"""The network: rows, processes and heads do what they say, with weights that were never trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from little_batches import TECHNIQUES, Words, little_shown, little_view

from rlstir_core.investigator.first_look import AROUND, FirstLook
from rlstir_core.investigator.inputs import WIDTHS, of_look
from rlstir_core.investigator.network.heads import Answers, Investigating
from rlstir_core.investigator.reading.batches import Batch, collate
from rlstir_core.investigator.reading.hashing import WORDS, hashed
from rlstir_core.investigator.reading.shown import Shown
from rlstir_core.investigator.reading.slots import SLOTS
from rlstir_core.investigator.techniques.decide import NOTHING, choose_threshold
from rlstir_core.learning.presets import Investigator

NUMBERS = Investigator(width=16, heads=2, row_tokens=12, graph_width=6, fuse_width=20)
BASE = torch.linspace(-3, 0, TECHNIQUES)
EPISODES = [
    little_view([("ls home", 0), ("cat notes", 1), ("ls home", 1)], [("bash login", -1), ("sh run", 0)]),
    little_view([("dump lsass memory", -1)]),
    little_view([("cat notes", 0), ("git pull", 0)], [("cron job", -1)]),
]


def network(*, taught: bool = True) -> Investigating:
    torch.manual_seed(0)
    made = Investigating(NUMBERS, Words.size, BASE, WIDTHS).eval()
    if taught:
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return made


def parts(prior: float = 0.0) -> list[Shown]:
    return [little_shown(view, prior) for view in EPISODES]


def batch_of(episodes: list[Shown], look: FirstLook | None = None) -> Batch:
    return collate([of_look(each, look) for each in episodes])


@torch.no_grad()
def said(made: Investigating, episodes: list[Shown], look: FirstLook | None = None) -> Answers:
    found: Answers = made(batch_of(episodes, look))
    return found


def test_what_is_said_of_an_episode_does_not_depend_on_what_else_is_in_the_batch() -> None:
    made, shown = network(), parts()
    together, first = said(made, shown), 0
    for e, episode in enumerate(shown):
        alone, rows = said(made, [episode]), slice(first, first + episode.n_rows)
        assert torch.allclose(alone.attack_X, together.attack_X[rows], atol=1e-5)
        assert torch.allclose(alone.technique_XK, together.technique_XK[rows], atol=1e-5)
        assert torch.allclose(alone.technique_EK[0], together.technique_EK[e], atol=1e-5)
        first += episode.n_rows
    assert not torch.allclose(together.technique_EK[0], together.technique_EK[2], atol=1e-2)


def test_an_untrained_network_says_base_rates_knowledge_the_first_look_and_the_rules_and_no_more() -> None:
    look = FirstLook(weight_SW=np.full((len(SLOTS), WORDS), 0.1, np.float32), bias=-1.0)
    shown = parts(2.0)
    batch, answers = batch_of(shown, look), said(network(taught=False), shown, look)
    assert torch.allclose(answers.technique_EK, (BASE + 2.0).expand(3, -1), atol=1e-5)
    assert torch.equal(answers.attack_X, batch.look_X) and batch.look_X.unique().numel() > 2
    assert torch.allclose(answers.tamper_X, 0.5 * batch.aux_XA[:, -1] - 1.0)


def test_rows_are_read_in_the_context_of_their_episode_and_of_their_process() -> None:
    made = network()
    alone = said(made, [little_shown(little_view([("ls home", -1)]))]).attack_X[0]
    among = said(made, [little_shown(little_view([("ls home", -1), ("cat notes", -1)]))]).attack_X[0]
    run_by = [
        said(made, [little_shown(little_view([("ls home", 0)], [(text, -1)]))]).attack_X[0]
        for text in ("bash login", "malware run")
    ]
    assert len({round(float(each), 3) for each in (alone, among, *run_by)}) == 4


def test_an_episode_without_rows_says_what_is_known_without_any() -> None:
    empty = little_shown(little_view([]))
    assert empty.n_rows == 0
    answers = said(network(), [empty, *parts()])
    assert all(torch.isfinite(each).all() for each in answers) and len(answers.technique_EK) == 4


def test_every_distinct_text_of_a_batch_stands_in_it_once_and_places_count_on() -> None:
    batch = batch_of(parts())
    assert len(batch.texts) == 8  # that of nothing among them; "cat notes" stands in two episodes
    assert batch.text_X[1] == batch.text_X[4] and batch.episodes.lengths == [3, 1, 2]
    assert batch.process_X.tolist() == [0, 1, 1, -1, 2, 2] and len(batch.text_P) == 3


def test_what_was_kept_of_rows_as_bytes_is_what_they_were() -> None:
    view = EPISODES[0]
    shown = little_shown(view)
    assert (shown.words_UW != hashed(view.texts)).nnz == 0
    for name in ("text", "process", "before"):
        assert getattr(shown, f"{name}_X").tolist() == getattr(view, f"{name}_N").tolist()
    assert shown.n_tokens == 3 * len(view.texts) and shown.slots_XS.shape == (3, len(SLOTS))
    assert shown.around.edges.counts == (2, 0, 0)


def test_what_a_first_look_says_around_a_row_stands_beside_it() -> None:
    words = hashed(["run"])
    look = FirstLook(weight_SW=np.zeros((len(SLOTS), WORDS), np.float32), bias=-2.0)
    look.weight_SW[SLOTS.index("process"), words.indices] = 5.0
    _, looked = of_look(little_shown(EPISODES[0]), look)
    assert looked.look_X.tolist() == [-2.0, 3.0, 3.0]
    column = looked.around_XA[:, AROUND.index("children")] * 4
    assert column.tolist() == [3.0, -8.0, -8.0] and looked.process_PC[:, 0].tolist() == [-0.5, 0.75]
    _, nothing = of_look(little_shown(EPISODES[0]), None)
    assert not nothing.look_X.any()


def test_the_threshold_is_that_of_the_best_micro_f1_and_nothing_is_named_without_truth() -> None:
    score = np.array([[0.9, 0.2], [0.6, 0.6], [0.1, 0.3]])
    truth = np.array([[True, False], [True, False], [False, False]])
    assert choose_threshold(score, truth) == 0.6  # 2 of 3 named are right, none is missed
    assert choose_threshold(score, np.zeros((3, 2), np.bool_)) == NOTHING
    assert choose_threshold(np.full((1, 2), 0.5), np.array([[True, False]])) == pytest.approx(0.5)
