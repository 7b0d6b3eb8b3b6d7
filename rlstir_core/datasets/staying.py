"""A train side that stays: what was trained on it is kept, and whatever may test beside it does.

What does not belong here: when it stays (`renewal.py`), and a split that is made anew (`split.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from rlstir_core.datasets.duplicates import Twins, tested_twins
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import Exclusion, Sides, SplitSettings, hosts_of
from rlstir_core.datasets.renewal import Renewal, Strayed, why_renew
from rlstir_core.datasets.split import Split, SplitRound, able_episodes, assembled, make_split, recipe_spec

_NAMED = 5


def next_split(
    recipe: str,
    episodes: Sequence[EpisodeInfo],
    settings: SplitSettings,
    renewal: Renewal,
    prior: Split | None,
    strayed: Strayed | None = None,
) -> tuple[Split, Twins]:
    """What `make_split` gives, or the train side of `prior` with everything that may test beside it.

    SplitRefused where neither can be honest.
    """
    if renewal.when == "always" or prior is None or prior.settings != settings:
        return make_split(recipe, episodes, settings)
    able, left_out = able_episodes(episodes, settings)
    stood = prior.trained_on
    now = {episode.episode_id: episode for episode in able}
    lost = sum(e.episode_id not in now or now[e.episode_id].decoded_sha256 != e.decoded_sha256 for e in stood)
    if lost:
        why = f"trained anew: {lost} of {len(stood)} episodes that were trained on are gone or changed"
        return _anew(recipe, episodes, settings, why)
    beside = [_beside(each, now, settings, recipe) for each in prior.rounds]
    placed = {episode.episode_id for sides in beside for episode in (*sides.train, *sides.test)}
    waiting = [episode for episode in able if episode.episode_id not in placed]
    anew, why = why_renew(renewal, stood, waiting, able, strayed)
    if anew:
        return _anew(recipe, episodes, settings, why)
    repeats = tested_twins([sides.train for sides in beside], [e for sides in beside for e in sides.test])
    tests: list[list[EpisodeInfo]] = []
    repeated: list[EpisodeInfo] = []
    for place, sides in enumerate(beside):
        tests.append([])
        for episode in sides.test:
            (repeated if place in repeats.get(episode.episode_id, ()) else tests[-1]).append(episode)
    if not all(tests):
        return _anew(
            recipe, episodes, settings, "trained anew: beside the train side that stood, nothing can be tested"
        )
    rounds = [
        SplitRound(
            train=each.train, folds=each.folds, test=tuple(e.episode_id for e in test), held_out=_held(each, test)
        )
        for each, test in zip(prior.rounds, tests, strict=True)
    ]
    excluded = [*left_out, *_excluded(waiting, "may not be tested beside what was trained on: wait for a training")]
    excluded += _excluded(repeated, "near-duplicates of train episodes, taken out of the test side")
    split = assembled(recipe_spec(recipe), settings, rounds, excluded, now)
    return msgspec.structs.replace(split, renewal=why), tested_twins(tests, stood)


def _anew(recipe: str, episodes: Sequence[EpisodeInfo], settings: SplitSettings, why: str) -> tuple[Split, Twins]:
    split, twins = make_split(recipe, episodes, settings)
    return msgspec.structs.replace(split, renewal=why), twins


def _beside(each: SplitRound, now: Mapping[str, EpisodeInfo], settings: SplitSettings, recipe: str) -> Sides:
    """The round's train side, and every episode that may test beside it."""
    train = Sides(train=[now[name] for name in each.train], test=(), held_out=each.held_out)
    stays, joins = set(each.train), recipe_spec(recipe).joins(train, settings)
    test = [episode for name, episode in now.items() if name not in stays and joins(episode)]
    return Sides(train=train.train, test=test, held_out=each.held_out)


def _held(each: SplitRound, test: Sequence[EpisodeInfo]) -> tuple[str, ...]:
    """What is held out, with the hosts, samples or corpora that came since."""
    known = set(each.held_out)
    for names in (hosts_of(test), sorted({e.sample for e in test}), sorted({e.corpus for e in test})):
        if known & set(names):
            return tuple(sorted(known.union(names)))
    return each.held_out


def _excluded(episodes: Sequence[EpisodeInfo], reason: str) -> list[Exclusion]:
    if not episodes:
        return []
    hosts = hosts_of(episodes)
    more = " …" if len(hosts) > _NAMED else ""
    return [Exclusion(what=f"{', '.join(hosts[:_NAMED])}{more}", reason=reason, n_episodes=len(episodes))]
