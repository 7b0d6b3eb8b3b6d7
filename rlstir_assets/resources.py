"""What every asset is given: where the store and the data lie, and what the user chose.

What does not belong here: what any asset does.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from rlstir_assets.environment import check_choices, from_environment
from rlstir_core.contract.registry import Registry, load_registry
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.renewal import Renewal, read_renewal
from rlstir_core.episodes.store.binding import command, opened_index
from rlstir_core.episodes.store.index import StoreIndex, load_index
from rlstir_core.episodes.store.writer import INDEX_NAME
from rlstir_core.errors import ConfigError, UpstreamMissing
from rlstir_core.learning.presets import PRESETS
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE, how_to_make, work_at
from rlstir_core.results.lab_outcome import refuse_leaks
from rlstir_core.results.layout import Layout
from rlstir_core.workers.spread import Workers, elsewhere, workers_of

if TYPE_CHECKING:  # they bring torch, which a code location should not have to load
    from rlstir_core.investigator.study import InvestigatorStudy
    from rlstir_core.learning.options import StudyOptions


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A store and its data folder, looked at: the store can be read, and the folder belongs to it."""

    store: Path
    layout: Layout
    index: StoreIndex  # that `episode_index` read
    registry: Registry

    def hosts(self, named: Sequence[str]) -> tuple[str, ...]:
        """The hosts of these partitions; ConfigError where one, typed by hand perhaps, is not in the index."""
        known = self.index.hosts
        for host in named:
            if host not in known:
                raise ConfigError(
                    f"host {host!r} is not in the episode index; its hosts are {', '.join(known) or '(none)'}: choose "
                    f"one of them, or record on it and make the index again with: {how_to_make('episode_index')}"
                )
        return tuple(named)


class Settings(dg.ConfigurableResource):
    """Store, data folder, preset and split; from the environment unless a run says otherwise."""

    store: str = Field(
        default=os.environ.get("RLSTIR_STORE") or DEFAULT_STORE,
        description="The store of raw episodes: the folder with index.jsonl (RLSTIR_STORE).",
    )
    data: str = Field(
        default=os.environ.get("RLSTIR_DATA") or DEFAULT_DATA,
        description="The data folder, where all outputs go; it belongs to one store (RLSTIR_DATA).",
    )
    preset: str = Field(
        default=os.environ.get("RLSTIR_PRESET") or next(iter(PRESETS)),
        description=f"Sizes of models and training: {', '.join(PRESETS)} (RLSTIR_PRESET).",
    )
    overrides: list[str] = Field(
        default_factory=lambda: from_environment("RLSTIR_SET"),
        description='Numbers of the preset, like "train.batch=64" (RLSTIR_SET, separated by blanks).',
    )
    train_hosts: list[str] = Field(
        default_factory=lambda: from_environment("RLSTIR_TRAIN_HOSTS"),
        description="Recipe host: the hosts to train on; empty: chosen by coverage (RLSTIR_TRAIN_HOSTS).",
    )
    test_hosts: list[str] = Field(
        default_factory=list, description="Recipes host and loho: the hosts to test on; empty: chosen by the recipe."
    )
    train_corpora: list[str] = Field(
        default_factory=list, description="Recipe corpus: the corpora to train on; empty: chosen by the recipe."
    )
    min_shared_channels: int | None = Field(
        default=None,
        description="Hosts that record fewer of the channels that most hosts record are left out; empty: half of them.",
    )
    folds: int = Field(
        default=SplitSettings().folds, description="Members of a detector: each leaves one fold of the train side out."
    )
    seed: int = Field(
        default=SplitSettings().seed, ge=0, lt=2**31, description="Of splits, of weights and of what is drawn."
    )
    normalise: str = Field(
        default=os.environ.get("RLSTIR_NORMALISE") or "ewma",
        description="What stands beside plain levels: none, ewma, runq, self or dyn (RLSTIR_NORMALISE).",
    )
    retrain: str = Field(
        default=os.environ.get("RLSTIR_RETRAIN") or "always",
        description="When models are trained anew on episodes that came since: always, never, or "
        "due:share=0.2,days=30,drift=0.5 (once as many wait beside those trained on, so many days have passed, or so "
        "many train hosts record otherwise since) (RLSTIR_RETRAIN).",
    )
    sync_source: str = Field(
        default=os.environ.get("RLSTIR_SYNC") or "",
        description="The store that new episodes are copied from before the index is read: a folder, ssh://HOST/PATH "
        "or a URL; empty: none (RLSTIR_SYNC).",
    )
    workers: str = Field(
        default=os.environ.get("RLSTIR_WORKERS") or "",
        description="Who decodes and reads the episodes of a host: a number of processes, or the address of a Dask "
        "scheduler; empty: a process a core, at most 8 (RLSTIR_WORKERS).",
    )
    prune: bool = Field(
        default=False,
        description="Take away results though more than half of the hosts or episodes are gone.",
    )

    def check(self) -> None:
        """ConfigError for a choice that cannot be, which names the variable where the environment made it."""
        check_choices(
            preset=self.preset,
            overrides=self.overrides,
            train_hosts=self.train_hosts,
            normalise=self.normalise,
            retrain=self.retrain,
            workers=self.workers,
        )

    def as_config(self) -> dict[str, Any]:
        """What a run is given, so that its steps have these settings and no others."""
        return {name: getattr(self, name) for name in type(self).model_fields}

    def choices(self) -> dict[str, Any]:
        """What was chosen about the results, without the folders, and without what is asked for once."""
        others = ("store", "data", "prune", "sync_source", "workers")
        return {name: value for name, value in self.as_config().items() if name not in others}

    @property
    def store_path(self) -> Path:
        return Path(self.store)

    @property
    def layout(self) -> Layout:
        return Layout(Path(self.data))

    def name_place(self) -> None:
        """From now on, remedies name this store and this data folder."""
        work_at(self.store_path, self.layout.data)

    def opened(self) -> Workspace:
        """What every asset but the index asks for first: nothing is written where this refuses."""
        self.name_place()
        self.check()
        index = opened_index(self.store_path, self.layout)
        store, layout = self.store_path, self.layout
        if elsewhere(self.workers):  # where another directory is the working directory
            store, layout = store.absolute(), Layout(layout.data.absolute())
        return Workspace(store=store, layout=layout, index=index, registry=load_registry(self.store_path))

    def registry(self) -> Registry:
        """The store's registry."""
        return load_registry(self.store_path)

    def index(self) -> StoreIndex:
        """The episode index that `episode_index` wrote."""
        return load_index(self.layout.index)

    def at_work(self) -> Workers:
        """Who works on the episodes of a host; ConfigError where nobody there sees the store and the data folder."""
        found = workers_of(self.workers)
        found.must_see([self.store_path.absolute() / INDEX_NAME], self.layout.data.absolute())
        return found

    def validated_hosts(self) -> tuple[str, ...]:
        """The hosts of the index; UpstreamMissing while one of them was not validated."""
        opened = self.opened()
        hosts = opened.index.hosts
        missing = [host for host in hosts if not opened.layout.validation(host).exists()]
        if missing:
            raise UpstreamMissing(
                f"host {missing[0]!r} was not validated, {len(missing)} of {len(hosts)} hosts were not; make it with: "
                f"{how_to_make('validation')}, or everything with: "
                f"{command(opened.store, opened.layout.data)}"
            )
        return hosts

    def split_settings(self) -> SplitSettings:
        """What the user chose about splits; each recipe heeds what it knows."""
        return SplitSettings(
            train_hosts=tuple(self.train_hosts),
            test_hosts=tuple(self.test_hosts),
            train_corpora=tuple(self.train_corpora),
            min_shared_channels=self.min_shared_channels,
            folds=self.folds,
            seed=self.seed,
        )

    def renewal(self) -> Renewal:
        """When the train side of a split is chosen anew."""
        return read_renewal(self.retrain)

    def options(self, recipe: str) -> StudyOptions:
        """What is to be done for what is learnt from one recipe."""
        from rlstir_core.datasets.split import heeded, recipe_spec
        from rlstir_core.learning.options import StudyOptions

        refuse_leaks(self.layout)
        split = heeded(recipe_spec(recipe), self.split_settings())
        return StudyOptions(recipe=recipe, preset=self.preset, overrides=tuple(self.overrides), split=split)

    def investigator(self, recipe: str) -> InvestigatorStudy:
        """The logs of one recipe's split, opened; UpstreamMissing where it was not split."""
        from rlstir_core.investigator.study import open_investigator

        return open_investigator(self.opened().layout, self.options(recipe))
