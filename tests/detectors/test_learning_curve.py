"""Shares of the train episodes: nested, whole episodes, spread as the train side is."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.detectors.beside.learning_curve import PARTS, nested_order, share_of


def infos(n: int = 96) -> list[EpisodeInfo]:
    """Three in four of host-a, one in three benign, two profiles."""
    return [
        EpisodeInfo(
            episode_id=f"ep-{e:03}",
            host="host-b" if e % 4 == 0 else "host-a",
            profile=f"profile-{e % 2}",
            sample="s",
            benign=e % 3 == 0,
            complete=True,
            t_start_wall_ns=0,
            t_end_wall_ns=1,
            content_sha256="",
        )
        for e in range(n)
    ]


def recordings(found: list[EpisodeInfo]) -> list[Any]:
    return [SimpleNamespace(info=info) for info in found]


def test_a_smaller_share_is_contained_in_every_larger_one_and_none_is_empty() -> None:
    shares = [[r.info.episode_id for r in share_of(recordings(infos()), part)] for part in (*PARTS, 1)]
    assert [len(share) for share in shares] == [12, 24, 48, 96]
    for small, large in pairwise(shares):
        assert large[: len(small)] == small
    assert len(share_of(recordings(infos(3)), 8)) == 1


@pytest.mark.parametrize("part", PARTS)
def test_a_share_has_hosts_profiles_and_benign_twins_as_the_train_side_has(part: int) -> None:
    share = [r.info for r in share_of(recordings(infos()), part)]
    n = len(share)
    assert abs(sum(info.host == "host-b" for info in share) - n / 4) <= 2
    assert abs(sum(info.benign for info in share) - n / 3) <= 2
    assert abs(sum(info.profile == "profile-0" for info in share) - n / 2) <= 2


def test_the_order_depends_on_the_episodes_and_not_on_how_they_are_listed() -> None:
    assert nested_order(infos()) == nested_order(infos()[::-1])
