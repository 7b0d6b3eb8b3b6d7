"""A block of episodes at a time: the same windows, inputs and labels as all at once, and no more in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlstir_core.detectors.blocks import Blocks, clear, evenly, in_blocks, one_block
from rlstir_core.detectors.episode_set import EpisodeSet, Recording
from rlstir_core.detectors.inputs import InputSchema, SequenceInputs, SummaryInputs, Windows, input_schema
from rlstir_core.detectors.views import RECORDED, SCORING, View
from rlstir_core.learning.examples import CacheBudget

VIEWS = [RECORDED, SCORING, View(kind="random", salt="t", gain=0.5, drop=0.5), View(kind="prefix", bins=60)]
KINDS = ["summary", "sequence"]


def all_of(episodes: EpisodeSet) -> list[Recording]:
    return list(episodes.recordings.values())


def seen(episodes: EpisodeSet, kind: str) -> InputSchema:
    return input_schema(episodes.schema, "oracle", kind, episodes.schema.channel_names[:6])


def impure(episodes: EpisodeSet) -> list[Recording]:
    """The recordings, with windows of mixed phases and windows without a label."""
    out = []
    for place, recording in enumerate(all_of(episodes)):
        rng = np.random.default_rng(place)
        n = len(recording.label_W)
        label_W = np.where(rng.random(n) < 0.2, -1, recording.label_W)
        out.append(replace(recording, label_W=label_W, purity_W=rng.random(n).astype(np.float32)))
    return out


def rows_of(blocks: Blocks) -> np.ndarray:
    """What a model is shown of every window, in their order."""
    parts = []
    for inputs in blocks:
        if isinstance(inputs, SummaryInputs):
            parts.append(inputs.x_NF)
        else:
            assert isinstance(inputs, SequenceInputs)
            place_NL = inputs.start_N[:, None] + np.arange(inputs.length)
            parts.append(inputs.series_TD[place_NL].reshape(len(inputs.start_N), -1))
    return np.concatenate(parts)


def names_of(windows: Windows) -> list[tuple[str, int]]:
    return [(windows.episodes[e], w) for e, w in zip(windows.episode_N.tolist(), windows.window_N.tolist())]  # noqa: B905


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("training", [{}, {"min_purity": 0.4, "most": 17}])
def test_blocks_of_episodes_are_the_same_windows_inputs_and_labels_as_one_block(
    episodes: EpisodeSet, kind: str, view: View, training: dict[str, float]
) -> None:
    recordings, schema = impure(episodes), seen(episodes, kind)
    one = in_blocks(episodes, recordings, schema, view, **training)
    assert len(one) == 1 and len(one.windows.label_N) >= 17
    for size in (1, 2, 4):
        more = in_blocks(episodes, recordings, schema, view, block=size, **training)
        assert len(more) > 1 and more.count_K.tolist() == one.count_K.tolist() and more.n_undrawn == one.n_undrawn
        for field in ("episode_N", "window_N", "label_N", "purity_N", "seconds_seen_N", "since_onset_N"):
            np.testing.assert_array_equal(getattr(more.windows, field), getattr(one.windows, field))
        np.testing.assert_allclose(rows_of(more), rows_of(one), rtol=0, atol=1e-6)
        shown = [inputs.windows for inputs in more]
        assert [name for each in shown for name in names_of(each)] == names_of(one.windows)
        labels = [more.labels(k) for k in range(len(more))]
        np.testing.assert_array_equal(np.concatenate(labels), one.windows.label_N)
        assert all(np.array_equal(mine, each.label_N) for mine, each in zip(labels, shown, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_that_was_drawn_is_shown_as_it_is_among_all(episodes: EpisodeSet, kind: str) -> None:
    every, some = (in_blocks(episodes, all_of(episodes), seen(episodes, kind), SCORING, most=n) for n in (None, 9))
    place = {name: n for n, name in enumerate(names_of(every.windows))}
    chosen = [place[name] for name in names_of(some.windows)]
    assert len(chosen) == 9 and some.n_undrawn == len(place) - 9 and every.n_undrawn == 0
    np.testing.assert_allclose(rows_of(some), rows_of(every)[chosen], rtol=0, atol=1e-6)


def test_windows_labels_and_counts_are_known_before_any_tensor_is_opened(episodes: EpisodeSet) -> None:
    opened: list[str] = []

    def watched(recording: Recording) -> Recording:
        def look() -> np.ndarray:
            opened.append(recording.info.episode_id)
            return recording.open()

        return replace(recording, open=look)

    recordings = [watched(recording) for recording in all_of(episodes)]
    blocks = in_blocks(episodes, recordings, seen(episodes, "sequence"), SCORING, block=2, most=20)
    assert len(blocks) == 3 and blocks.count_K.sum() > 20 == len(np.concatenate([blocks.labels(k) for k in range(3)]))
    assert opened == []
    blocks.inputs(1)
    assert opened == ["ep-2", "ep-3"]


def test_no_recordings_are_no_blocks(episodes: EpisodeSet) -> None:
    for kind in KINDS:
        none = in_blocks(episodes, [], seen(episodes, kind), SCORING)
        assert len(none) == 0 and len(none.windows.label_N) == 0 and not none.count_K.any()


def test_inputs_in_memory_are_one_block_and_none_where_there_are_none(easy: Callable, some: Callable) -> None:
    inputs = easy("summary", 0)
    assert list(one_block(inputs, 4)) == [inputs] and one_block(inputs, 4).count_K.tolist() == [40, 40, 40, 0]
    assert len(one_block(some(inputs, slice(0)), 4)) == 0


# ---- which windows are drawn


def test_windows_of_mixed_phases_are_left_out_unless_a_phase_would_be_lost() -> None:
    def windows(*purity: float) -> Windows:
        n, nothing = len(purity), np.zeros(len(purity))
        return Windows(
            episodes=("ep-1",),
            episode_N=np.zeros(n, np.int64),
            window_N=np.arange(n),
            label_N=np.array([0, 1, 1]),
            purity_N=np.array(purity, np.float32),
            seconds_seen_N=nothing,
            since_onset_N=nothing,
        )

    assert clear(windows(0.9, 0.5, 0.9), 0.7).tolist() == [0, 2]
    assert clear(windows(0.5, 0.9, 0.9), 0.7).tolist() == [0, 1, 2]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=80),
    st.integers(1, 90),
    st.sampled_from(["", "train-1"]),
)
def test_every_phase_of_every_episode_gives_a_window_before_any_gives_two(
    rows: list[tuple[int, int]], most: int, salt: str
) -> None:
    episode_N, label_N = (np.array(column) for column in zip(*rows, strict=True))
    drawn = evenly(episode_N, label_N, most, salt)
    assert len(drawn) == len(set(drawn.tolist())) == min(most, len(rows)) and sorted(drawn) == drawn.tolist()
    given_, taken = Counter(rows), Counter(rows[n] for n in drawn)
    least = min((taken[group] for group in given_ if taken[group] < given_[group]), default=len(rows))
    assert max(taken.values()) <= least + 1
    np.testing.assert_array_equal(evenly(episode_N, label_N, most, salt), drawn)


def test_what_is_drawn_is_a_function_of_the_windows_and_the_views_salt() -> None:
    episode_N, label_N = np.zeros(500, np.int64), np.zeros(500, np.int64)
    one, again, other = (evenly(episode_N, label_N, 50, salt).tolist() for salt in ("a", "a", "b"))
    assert one == again != other


# ---- what is kept


def watched_blocks(episodes: EpisodeSet, budget: CacheBudget | None) -> tuple[Blocks, list[int]]:
    blocks = in_blocks(episodes, all_of(episodes), seen(episodes, "summary"), RECORDED, block=2, budget=budget)
    made, make = [], blocks._make

    def counted(k: int) -> object:
        made.append(k)
        return make(k)

    blocks._make = counted  # type: ignore[assignment]
    return blocks, made


def test_without_a_budget_nothing_is_kept_and_with_enough_everything_is_made_once(episodes: EpisodeSet) -> None:
    for budget, expected in (
        (None, [0, 1, 2, 0, 1, 2]),
        (CacheBudget(0), [0, 1, 2, 0, 1, 2]),
        (CacheBudget(1 << 30), [0, 1, 2]),
    ):
        blocks, made = watched_blocks(episodes, budget)
        first, second = rows_of(blocks), rows_of(blocks)
        np.testing.assert_array_equal(first, second)
        assert made == expected


def test_no_more_is_kept_than_the_budget_has_and_views_share_it(episodes: EpisodeSet) -> None:
    size = [inputs.n_bytes for inputs in watched_blocks(episodes, None)[0]]
    budget = CacheBudget(size[0] + size[1])
    blocks, made = watched_blocks(episodes, budget)
    for _ in range(3):
        list(blocks)
    assert made == [0, 1, 2, 2, 2] and budget.left == 0
    other, made = watched_blocks(episodes, budget)
    list(other), list(other)
    assert made == [0, 1, 2, 0, 1, 2] and budget.left == 0


def test_a_budget_gives_what_it_has_and_refuses_the_rest() -> None:
    budget = CacheBudget(10)
    assert [budget.take(n) for n in (6, 5, 4, 1, 0)] == [True, False, True, False, True] and budget.left == 0
