"""Parts: bounded files, and a new episode touches few of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.telemetry.parts import EPISODES_A_PART, parts

NAMES = [f"ep-{i:05d}" for i in range(3000)]


def changed(before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]]) -> int:
    return sum(before.get(name) != after.get(name) for name in before.keys() | after.keys())


@given(st.lists(st.text(min_size=1), unique=True, max_size=200))
def test_every_episode_lies_in_one_part_whatever_the_order(names: list[str]) -> None:
    found = parts(names)
    assert sorted(episode for held in found.values() for episode in held) == sorted(names)
    assert found == parts(reversed(names))


def test_a_new_episode_touches_at_most_three_parts_whatever_the_size() -> None:
    worst, before = 0, parts(NAMES[:1])
    for n in range(2, 1200):
        after = parts(NAMES[:n])
        worst = max(worst, changed(before, after))
        before = after
    assert worst <= 3


def test_a_deleted_episode_touches_at_most_three_parts() -> None:
    whole = parts(NAMES[:1025])  # one more than fills 32 parts, so that two are merged
    assert all(changed(whole, parts(set(NAMES[:1025]) - {gone})) <= 3 for gone in NAMES[:200])


def test_parts_do_not_grow_with_the_store() -> None:
    for n in (100, 1000, 3000):
        sizes = [len(held) for held in parts(NAMES[:n]).values()]
        assert max(sizes) <= 3 * EPISODES_A_PART
