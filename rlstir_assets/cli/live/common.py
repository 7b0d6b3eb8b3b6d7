"""What the commands that publish share: where things are, the publisher of a data folder, and its last word.

What does not belong here: any command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rlstir_assets.cli.common import work_between
from rlstir_core.errors import ConfigError
from rlstir_core.live.publisher import Publisher
from rlstir_core.remedies import Workplace, command
from rlstir_core.results.lock import is_held

if TYPE_CHECKING:
    from rlstir_core.detectors.single import IndexClaim
    from rlstir_core.evaluation.detectors.scoring import Scorer
    from rlstir_core.progress import Tell
    from rlstir_core.results.layout import Layout

_LAST_S = 30.0  # for what still waits when a command ends


@dataclass(frozen=True, kw_only=True)
class LivePlace:
    """The store and the data folder that a command works at."""

    store: Path
    data: Path


def place_of(store: str | None, data: str | None) -> LivePlace:
    """Where the options and the environment say; from now on remedies name it."""
    target, source = work_between(data, store)
    return LivePlace(store=source, data=target)


@contextmanager
def publisher_of(data: Path, source: str) -> Iterator[Publisher]:
    """The publisher to the live view of `data`; ConfigError where none runs, or where it did not take everything."""
    if not is_held(data / "live" / ".lock"):
        start = command("live", place=Workplace(data=data))
        raise ConfigError(f"no live view of {data} runs; open one in another shell with: {start}")
    publisher = Publisher.of(data, source=f"urn:rlstir:{source}")
    try:
        yield publisher
    except BaseException:
        publisher.close(1.0)
        raise
    counts = publisher.close(_LAST_S)
    if counts.dropped or counts.refused:
        lost = counts.dropped + counts.refused
        raise ConfigError(
            f"{lost:,} of {lost + counts.sent:,} events did not reach the live view ({counts.error}); look whether it "
            "runs, and give the command again"
        )


def recipe_of(layout: Layout, place: LivePlace, recipe: str) -> str:
    """The recipe that was asked for, or that speaks for the data folder."""
    from rlstir_core.evaluation.detectors.scoring import default_recipe

    return recipe or default_recipe(layout, place.store)


def scorer_of(layout: Layout, place: LivePlace, recipe: str, tell: Tell) -> Scorer:
    """The detectors that the last report of the recipe speaks of."""
    from rlstir_core.evaluation.detectors.scoring import Scorer
    from rlstir_core.results.champion import champion_of

    return Scorer(champion_of(layout, recipe, layout.report_inputs(recipe)), place.store, recipe, tell)


def tarball(episode: str, place: LivePlace, host: str) -> tuple[Path, IndexClaim]:
    """The tarball that is meant, and what the store's index says of it."""
    from rlstir_assets.cli.episode.score import tarball_of

    return tarball_of(episode, place.store, host)
