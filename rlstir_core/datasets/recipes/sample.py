"""`sample`: sample names are held out within each profile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import (
    TEST_SHARE,
    Division,
    Exclusion,
    RecipeSpec,
    Sides,
    SplitSettings,
    apart,
    rank,
    unless_trained,
)
from rlstir_core.ids import fold

_MIN_SAMPLES = 2  # a profile with one sample cannot have it on both sides


def _divide(episodes: Sequence[EpisodeInfo], settings: SplitSettings) -> Division:
    groups: dict[tuple[str, bool], dict[str, list[EpisodeInfo]]] = defaultdict(lambda: defaultdict(list))
    for episode in episodes:
        groups[episode.profile, episode.benign][fold(episode.sample)].append(episode)
    poor = {
        profile: min(len(groups[profile, side]) for side in (True, False) if (profile, side) in groups)
        for profile, _ in groups
    }
    outer: list[EpisodeInfo] = []
    test: list[EpisodeInfo] = []
    excluded: list[Exclusion] = []
    held_out: list[str] = []
    for profile in sorted(p for p, n in poor.items() if n < _MIN_SAMPLES):
        n = sum(len(found) for side in (True, False) for found in groups.pop((profile, side), {}).values())
        excluded.append(
            Exclusion(what=profile, reason=f"profile has too few samples ({poor[profile]}, needs 2)", n_episodes=n)
        )
    for _, samples in sorted(groups.items()):
        names = sorted(samples, key=lambda name: rank(name, settings.seed))
        cut = max(1, round(len(names) * TEST_SHARE))
        held_out.extend(names[:cut])
        test.extend(episode for name in names[:cut] for episode in samples[name])
        outer.extend(episode for name in names[cut:] for episode in samples[name])
    shared = {fold(e.sample) for e in outer} & {fold(e.sample) for e in test}
    for name in sorted(shared):
        n = sum(fold(episode.sample) == name for episode in outer)
        reason = "its sample is held out under another profile, so it is taken out of the train side"
        excluded.append(Exclusion(what=name, reason=reason, n_episodes=n))
    outer = [episode for episode in outer if fold(episode.sample) not in shared]
    sides = Sides(
        train=sorted(outer, key=lambda episode: episode.episode_id),
        test=sorted(test, key=lambda episode: episode.episode_id),
        held_out=tuple(sorted(held_out)),
    )
    return Division(rounds=[sides], excluded=excluded)


RECIPE = RecipeSpec(
    name="sample",
    words="Samples are held out within each profile: no payload of the test side was seen in training.",
    divide=_divide,
    check=apart("sample"),
    joins=unless_trained("sample"),
)
