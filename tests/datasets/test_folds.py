"""Validation is carved from the train side: whole episodes, whole hosts where they suffice, alike in profile."""

from __future__ import annotations

import pytest
from split_worlds import (
    ALL,
    divided,
    episode,
    world,
)

from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.errors import ConfigError


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("folds", [2, 3, 5])
def test_validation_is_carved_from_the_train_side_by_whole_episodes(recipe: str, folds: int) -> None:
    for each in divided(recipe, world(hosts=3, per_host=16), folds=folds).rounds:
        dealt = [name for part in each.folds for name in part]
        assert len(each.folds) == folds and sorted(dealt) == list(each.train)
        assert min(len(part) for part in each.folds) >= 2


@pytest.mark.parametrize("folds", [-1, 0, 1, 21])
def test_a_number_of_folds_that_cannot_be_is_refused_with_the_rule(folds: int) -> None:
    with pytest.raises(ConfigError, match=f"folds is {folds}; keep it between 2 and 20"):
        SplitSettings(folds=folds)


@pytest.mark.parametrize("recipe", ["host", "loho"])
def test_validation_is_whole_hosts_where_there_are_enough_of_them(recipe: str) -> None:
    split = divided(recipe, world(hosts=6, per_host=8))
    for each in split.rounds:
        hosts = [{split.by_name[name].host for name in part} for part in each.folds]
        assert len(hosts) == 3 and all(hosts) and sum(len(part) for part in hosts) == len(set.union(*hosts))


def test_folds_within_one_host_are_alike_in_profile() -> None:
    split = divided("host", world(hosts=2, per_host=24))
    for part in split.rounds[0].folds:
        kinds = [(split.by_name[name].profile, split.by_name[name].benign) for name in part]
        assert sorted(kinds.count(kind) for kind in set(kinds)) == [2, 2, 2, 2]


@pytest.mark.parametrize("hosts", [2, 6])
def test_telemetry_is_dealt_to_every_fold_before_logs_alone_fill_one(hosts: int) -> None:
    silent = [
        episode(f"log-{h}{k}", host=f"web-{h}", windows={}, logs=("logs/auth.log",)) for h in range(6) for k in range(4)
    ]
    episodes = [*world(hosts=hosts, per_host=8), *silent]
    for recipe in ("host", "loho"):
        split = divided(recipe, episodes, test_hosts=("host-0",))
        assert all(any(split.by_name[n].windows for n in part) for part in split.rounds[0].folds)


def test_another_seed_deals_other_folds_and_leaves_the_test_hosts() -> None:
    one, two = (divided("host", world(hosts=2, per_host=24), seed=seed).rounds[0] for seed in (0, 1))
    assert one.test == two.test and one.folds != two.folds
