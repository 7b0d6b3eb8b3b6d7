"""A split: who trains, who validates and who tests, by which recipe, and what was checked.

The unit is the episode. Validation is carved from the train side by whole episodes, in folds: each fold is the
validation side of one member of a detector. What does not belong here: the recipes (`recipes/`), a train
side that stays (`staying.py`), the checks (`checks.py`) and files (`store.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from rlstir_core.atomic import canonical_sha256
from rlstir_core.datasets.channels import sparse_hosts
from rlstir_core.datasets.duplicates import Twins, tested_twins
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import (
    Division,
    Exclusion,
    RecipeSpec,
    Sides,
    SplitCheck,
    SplitSettings,
    hosts_of,
    rank,
)
from rlstir_core.errors import SplitRefused

FORMAT = "rlstir-split-1"
_MIN_OUTER = 4  # two folds of two
_HOSTS_NAMED = 3


class SplitRound(msgspec.Struct, frozen=True, kw_only=True):
    """Episode names of each side, in their order."""

    train: tuple[str, ...]
    folds: tuple[tuple[str, ...], ...]  # of `train`: what each member of a detector does not train on
    test: tuple[str, ...]
    held_out: tuple[str, ...]  # host, sample or corpus names, or the time from which episodes are held out


class Split(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What stands in `<recipe>.json`."""

    format: str = FORMAT
    recipe: str
    words: str
    headline: bool
    input_sha256: str = ""
    settings: SplitSettings
    rounds: tuple[SplitRound, ...]
    excluded: tuple[Exclusion, ...]
    renewal: str = ""  # whether the train side stayed and why; empty where the recipe alone decided
    checks: tuple[SplitCheck, ...] = ()
    own_sha256: str = ""  # of all the rest, so that a file that was edited is no split
    episodes: tuple[EpisodeInfo, ...]  # that stand on a side, without their signatures

    @cached_property
    def by_name(self) -> dict[str, EpisodeInfo]:
        return {episode.episode_id: episode for episode in self.episodes}

    def select(self, names: Sequence[str]) -> list[EpisodeInfo]:
        return [self.by_name[name] for name in names]

    @cached_property
    def hosts(self) -> list[str]:
        """Whose episodes stand on a side, by name."""
        return sorted({episode.host for episode in self.episodes})

    @cached_property
    def tested(self) -> list[EpisodeInfo]:
        """Every test episode of every round, by name; no episode is tested twice."""
        return sorted((self.by_name[n] for r in self.rounds for n in r.test), key=lambda e: e.episode_id)

    @cached_property
    def trained_on(self) -> list[EpisodeInfo]:
        """Every episode that any round trains on, by name."""
        return [self.by_name[name] for name in sorted({n for r in self.rounds for n in r.train})]

    def seal(self) -> str:
        """What `own_sha256` must be."""
        return canonical_sha256(msgspec.structs.replace(self, own_sha256=""))

    @cached_property
    def sha256(self) -> str:
        """The hash of the sides of every round and of what stands on them."""
        contents = sorted((e.episode_id, e.decoded_sha256) for e in self.episodes)
        return canonical_sha256([self.recipe, self.rounds, contents])

    @cached_property
    def train_sha256(self) -> str:
        """The hash of what detectors are trained on: neither a new test episode nor logs alone make them stale."""
        learnt = {e.episode_id: e.decoded_sha256 for e in self.trained_on if e.windows}
        rounds = [[[name for name in fold if name in learnt] for fold in each.folds] for each in self.rounds]
        return canonical_sha256([self.recipe, rounds, sorted(learnt.items())])


def make_split(
    recipe: str,
    episodes: Sequence[EpisodeInfo],
    settings: SplitSettings | None = None,
    twins: Twins | None = None,
) -> tuple[Split, Twins]:
    """The split that `recipe` gives, and the near-duplicates found; SplitRefused where it cannot be honest.

    With `twins` nothing is searched.
    """
    settings = settings or SplitSettings()
    spec = recipe_spec(recipe)
    if not episodes:
        raise SplitRefused("there are no usable episodes to split; see the verdicts of `rlstir validate`")
    require_settings(spec, settings)
    able, left_out = able_episodes(episodes, settings)
    division = _divided(spec, able, settings, left_out)
    every = {episode.episode_id: episode for sides in division.rounds for episode in sides.train}
    if twins is None:
        twins = tested_twins([sides.test for sides in division.rounds], list(every.values()))
    excluded = [*left_out, *division.excluded]
    rounds, repeated = [], set()
    for place, sides in enumerate(division.rounds):
        outer = [episode for episode in sides.train if place not in twins.get(episode.episode_id, ())]
        repeated |= {episode.episode_id for episode in sides.train} - {episode.episode_id for episode in outer}
        rounds.append(_round(spec, settings, Sides(train=outer, test=sides.test, held_out=sides.held_out)))
    if repeated:
        excluded.append(
            Exclusion(
                what=", ".join(sorted(repeated)[:5]) + (" …" if len(repeated) > 5 else ""),
                reason="near-duplicate of a test episode, taken out of the train side",
                n_episodes=len(repeated),
            )
        )
    known = every | {episode.episode_id: episode for sides in division.rounds for episode in sides.test}
    return assembled(spec, settings, rounds, excluded, known), twins


def able_episodes(
    episodes: Sequence[EpisodeInfo], settings: SplitSettings
) -> tuple[list[EpisodeInfo], Sequence[Exclusion]]:
    """The episodes that a recipe divides, by name, and the hosts that record too little to take part."""
    named = {*settings.train_hosts, *settings.test_hosts}
    sparse, left_out = sparse_hosts(episodes, settings.min_shared_channels, named)
    apart = frozenset(sparse)
    return sorted((e for e in episodes if e.host not in apart), key=lambda episode: episode.episode_id), left_out


def assembled(
    spec: RecipeSpec,
    settings: SplitSettings,
    rounds: Sequence[SplitRound],
    excluded: Sequence[Exclusion],
    known: Mapping[str, EpisodeInfo],
) -> Split:
    """The split of these rounds; `known` holds at least the episodes that stand on a side."""
    used = sorted({name for each in rounds for name in (*each.train, *each.test)})
    return Split(
        recipe=spec.name,
        words=spec.words,
        headline=spec.headline,
        settings=settings,
        rounds=tuple(rounds),
        excluded=tuple(excluded),
        episodes=tuple(msgspec.structs.replace(known[name], signature=(), channels=()) for name in used),
    )


def _divided(
    spec: RecipeSpec, episodes: Sequence[EpisodeInfo], settings: SplitSettings, left_out: Sequence[Exclusion]
) -> Division:
    """The recipe's division; SplitRefused names the hosts that had been left out before, which may be why."""
    try:
        return spec.divide(episodes, settings)
    except SplitRefused as error:
        if not left_out:
            raise
        why = "; ".join(f"host {each.what} was left out: it {each.reason}" for each in left_out[:_HOSTS_NAMED])
        raise SplitRefused(f"{error} ({why})") from None


def recipe_spec(recipe: str) -> RecipeSpec:
    """The recipe of that name; SplitRefused with the names there are."""
    if recipe not in RECIPES:
        raise SplitRefused(f"split recipe {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
    return RECIPES[recipe]


def heeded(spec: RecipeSpec, settings: SplitSettings) -> SplitSettings:
    """The settings without the names that the recipe does not heed: one configuration serves all recipes."""
    unheeded = {name: () for name in _NAMED if name not in spec.settings}
    return msgspec.structs.replace(settings, **unheeded)


_NAMED = {"train_hosts": "train hosts", "test_hosts": "test hosts", "train_corpora": "train corpora"}


def require_settings(spec: RecipeSpec, settings: SplitSettings) -> None:
    """SplitRefused where hosts or corpora are named that the recipe does not heed."""
    for name, words in _NAMED.items():
        if getattr(settings, name) and name not in spec.settings:
            able = ", ".join(other.name for other in RECIPES.values() if name in other.settings)
            raise SplitRefused(f"{words} are named, but recipe {spec.name!r} does not heed them; use recipe {able}")


def _round(spec: RecipeSpec, settings: SplitSettings, sides: Sides) -> SplitRound:
    if len(sides.train) < _MIN_OUTER or not sides.test:
        where = f" where {', '.join(sides.held_out[:3])} is held out" if spec.name == "loho" else ""
        raise SplitRefused(
            f"recipe {spec.name!r} leaves {len(sides.train)} train and {len(sides.test)} test episodes{where}, and "
            f"needs {_MIN_OUTER} and 1; record more episodes or choose another recipe"
        )
    return SplitRound(
        train=tuple(e.episode_id for e in sides.train),
        folds=_folds(sides.train, settings, by_host=spec.folds_by_host),
        test=tuple(e.episode_id for e in sides.test),
        held_out=sides.held_out,
    )


def _folds(episodes: Sequence[EpisodeInfo], settings: SplitSettings, *, by_host: bool) -> tuple[tuple[str, ...], ...]:
    """The train side in folds: whole hosts where there are enough of them, else alike in host and profile.

    A choice made on a host that was not trained on holds better on a new host. Telemetry is dealt first, so that logs
    alone fill no fold that telemetry could stand in.
    """
    count = max(2, min(settings.folds, len(episodes) // 2))
    measured = set(hosts_of([episode for episode in episodes if episode.windows]))
    hosts = sorted(hosts_of(episodes), key=lambda host: (host not in measured, rank(host, settings.seed)))
    place = {host: k for k, host in enumerate(hosts)}
    dealt: list[list[str]] = [[] for _ in range(count)]
    if by_host and len(measured or hosts) >= count:
        for episode in episodes:
            dealt[place[episode.host] % count].append(episode.episode_id)
    else:
        alike = sorted(
            episodes,
            key=lambda e: (not e.windows, e.host, e.profile, e.benign, rank(e.episode_id, settings.seed), e.episode_id),
        )
        for at, episode in enumerate(alike):
            dealt[at % count].append(episode.episode_id)
    return tuple(tuple(sorted(part)) for part in dealt)
