"""What `rlstir materialize` would make, in which runs, and why: asked of the core, nothing is made.

No run can span two partition definitions, so there is one for the index, one for each range of hosts, one for the
lab's checks and one for each recipe. What does not belong here: running (`runs.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rlstir_core.errors import SplitRefused, UpstreamMissing

if TYPE_CHECKING:
    from rlstir_assets.resources import Settings
    from rlstir_core.datasets.split import Split
    from rlstir_core.episodes.store.index import StoreIndex
    from rlstir_core.episodes.validation.current import HostChanges

INDEX_ASSETS = ("episode_index", "feature_schema")
SYNC_ASSETS = ("synced_episodes",)
LAB_ASSETS = ("lab_checks",)
_OF_TELEMETRY = ("window_tensors", "window_features")
_HOSTS_NAMED = 3
_CHECKPOINT = "checkpoint/"
_WHERE_TECHNIQUES = "where log rows of both sides carry techniques"

Wanted = set[str] | None  # the assets that the user named, or None for all that are stale


@dataclass(frozen=True, kw_only=True)
class Todo:
    """One run: the assets it makes, of which partition or range, and why."""

    title: str
    assets: tuple[str, ...]
    partitions: tuple[str, ...] = ()  # none, one, or the ends of a range
    why: tuple[str, ...] = ()
    kept: frozenset[str] = frozenset()  # looked at, because what they are made from is written anew, and not made

    @property
    def sentence(self) -> str:
        """What is made; checkpoints are counted."""
        checkpoints = [name for name in self.assets if name.startswith(_CHECKPOINT) and name not in self.kept]
        rest = [name for name in self.assets if not name.startswith(_CHECKPOINT) and name not in self.kept]
        named = [f"{len(checkpoints)} checkpoints"] if len(checkpoints) > 2 else checkpoints
        return f"{self.title}: making {', '.join([*named, *rest])}"


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """What is stale of every host, in the order of its partitions."""

    stages: Mapping[str, tuple[str, ...]]
    changes: Mapping[str, HostChanges]

    @property
    def changed(self) -> tuple[str, ...]:
        """Those with other episodes than before; what is made again of the same episodes is the same again."""
        return tuple(h for h, each in self.changes.items() if each.new or each.changed or each.gone)

    @property
    def has_new_rows(self) -> bool:
        """Whether log rows are made."""
        return any("log_events" in stages for stages in self.stages.values())


def plan_sync(settings: Settings, wanted: Wanted) -> Todo | None:
    """The run that asks the source for new episodes, where one is set, or where nothing but that is wanted."""
    asked = wanted is None or bool(wanted.intersection(SYNC_ASSETS))
    if not asked or not (settings.sync_source or wanted == set(SYNC_ASSETS)):
        return None
    why = "a source is set, and only it knows what is new" if settings.sync_source else "asked for, though none is set"
    return Todo(title="sync", assets=SYNC_ASSETS, why=(why,))


def plan_index(settings: Settings, index: StoreIndex, wanted: Wanted, *, known: Sequence[str] | None) -> Todo | None:
    """The run of the index and the schema; `known` are the partitions of the instance, None where nobody asked it."""
    from rlstir_core.staleness import index_is_current, schema_is_current

    layout = settings.layout
    registered = known is None or set(known).issuperset(index.hosts)
    current = index_is_current(layout, index)
    why = []
    if not current:
        why.append("index.jsonl has changed" if layout.index.exists() else "the index was not read yet")
    elif not registered:
        why.append("this Dagster instance does not know the hosts yet")
    schema = schema_is_current(settings.store_path, layout, settings.normalise)
    if not schema:
        made = layout.feature_schema.exists()
        why.append("the registry or the normaliser has changed" if made else "there is no feature schema yet")
    stale = {"episode_index": not current or not registered, "feature_schema": not schema}
    return _todo("index", stale, wanted, (), why)


def changed_index(settings: Settings) -> Todo:
    """The run of an index that is known to have changed, which need not be read for that.

    A schema that has changed as well is asked for once the index was read.
    """
    assets = INDEX_ASSETS[:1] if settings.layout.feature_schema.exists() else INDEX_ASSETS
    return Todo(title="index", assets=assets, why=("index.jsonl has changed",))


def stale_hosts(settings: Settings, index: StoreIndex, *, logs_alone: bool = False) -> Hosts:
    """Every host's stages that have something to do, by what the index says now; of logs alone there are fewer."""
    from rlstir_core.episodes.validation.current import host_changes
    from rlstir_core.staleness import HOST_STAGES, later_stages

    store, layout, registry = settings.store_path, settings.layout, settings.registry()
    stages: dict[str, tuple[str, ...]] = {}
    changes: dict[str, HostChanges] = {}
    for host in index.hosts:
        found = host_changes(store, layout, host, registry=registry, index=index)
        stale = HOST_STAGES if found else later_stages(layout, host)
        stages[host] = tuple(stage for stage in stale if not (logs_alone and stage in _OF_TELEMETRY))
        if stages[host]:
            changes[host] = found
    return Hosts(stages=stages, changes=changes)


def plan_hosts(hosts: Hosts, order: Sequence[str], wanted: Wanted) -> list[Todo]:
    """A run for every range of neighbours in `order` that have something to do."""
    from rlstir_core.staleness import HOST_STAGES

    if wanted is not None and not wanted.intersection(HOST_STAGES):
        return []
    todos = []
    for run in ranges(order, [host for host, stages in hosts.stages.items() if stages or wanted]):
        stale = {name: any(name in hosts.stages[host] for host in run) for name in HOST_STAGES}
        title = f"host {run[0]}" if len(run) == 1 else f"hosts {', '.join(run)}"
        title = title if len(run) <= _HOSTS_NAMED else f"{len(run)} hosts"
        why = [_of_hosts([hosts.changes[host] for host in run if host in hosts.changes])]
        todo = _todo(title, stale, wanted, run if len(run) == 1 else (run[0], run[-1]), why)
        todos += [todo] if todo else []
    return todos


def plan_lab(settings: Settings, index: StoreIndex, wanted: Wanted, *, touched: bool = False) -> Todo | None:
    """The run of the lab's checks; `touched` says that log rows are made before it."""
    from rlstir_core.staleness import lab_checks_are_current

    current = not touched and lab_checks_are_current(settings.layout, index.hosts)
    why = "the log rows have changed" if settings.layout.lab_checks.exists() else "nobody has looked yet"
    return _todo("lab", {"lab_checks": not current}, wanted, (), [why])


def plan_recipe(settings: Settings, recipe: str, wanted: Wanted) -> Todo | None:
    """The run of a recipe, once its hosts are up to date; SplitRefused where the recipe cannot be applied."""
    from rlstir_core.datasets.store import read_split, try_split
    from rlstir_core.staleness import (
        INVESTIGATOR,
        kept_checkpoints,
        kept_investigator,
        no_investigator,
        stale_recipe_assets,
    )

    layout, hosts, options = settings.layout, settings.validated_hosts(), settings.options(recipe)
    stale = stale_recipe_assets(layout, options, hosts, settings.registry(), settings.renewal())
    kept = frozenset[str]()
    if stale["split"] or (wanted is not None and "split" in wanted):
        split = try_split(layout, recipe, hosts, settings.split_settings(), settings.renewal())
        kept = kept_checkpoints(layout, options, split)
        kept |= kept_investigator(layout, settings.options(recipe), split)
    else:
        split = read_split(layout, recipe)
    of_logs = no_investigator(layout, split)
    if of_logs:
        stale = {name: is_stale for name, is_stale in stale.items() if name not in INVESTIGATOR}
        if wanted is not None and wanted.issubset(INVESTIGATOR):
            raise SplitRefused(of_logs)
    made = {name: is_stale and name not in kept for name, is_stale in stale.items()}
    why = _of_recipe(settings, recipe, made, split) + ([f"no encoder: {of_logs}"] if of_logs else [])
    todo = _todo(f"recipe {recipe}", stale, wanted, (recipe,), why)
    return todo if todo is None or wanted is not None else replace(todo, kept=kept)


def plan_pages(settings: Settings) -> list[Todo]:
    """A run for every report that lies there and shows evaluations of other recipes that have changed since."""
    from rlstir_core.evaluation.report.comparison import outdated_pages

    why = ("its report shows other recipes too, which were evaluated since",)
    return [
        Todo(title=f"recipe {recipe}", assets=("comparison_v2",), partitions=(recipe,), why=why)
        for recipe in outdated_pages(settings.layout)
    ]


def plan_logs(settings: Settings, recipe: str) -> Todo | None:
    """The run of a recipe of a store of logs alone; SplitRefused where no encoder can be trained or judged by it."""
    from rlstir_core.datasets.store import read_split, split_is_current, try_split
    from rlstir_core.investigator.study import open_investigator, why_not
    from rlstir_core.staleness import investigator_assets, kept_investigator, stale_investigator

    layout, hosts, options = settings.layout, settings.validated_hosts(), settings.options(recipe)
    kept = frozenset[str]()
    if split_is_current(layout, recipe, hosts, settings.split_settings(), settings.renewal()):
        split = read_split(layout, recipe)
        stale = {"split": False}
    else:
        split = try_split(layout, recipe, hosts, settings.split_settings(), settings.renewal())
        stale = {"split": True}
        kept = kept_investigator(layout, options, split)
    if why := why_not(layout, split):
        raise SplitRefused(why)
    if stale["split"]:
        stale |= dict.fromkeys(investigator_assets(layout, options, split), True)
    if not stale["split"]:
        stale |= stale_investigator(open_investigator(layout, options))
    todo = _todo(f"recipe {recipe}", stale, None, (recipe,), _of_logs(stale, kept))
    return None if todo is None else replace(todo, kept=kept)


def foresee_logs(recipe: str) -> Todo:
    """What a recipe of a store of logs alone will ask for after its hosts have changed."""
    from rlstir_core.staleness import READERS

    return Todo(title=f"recipe {recipe}", assets=("split", *READERS), why=(_WHERE_TECHNIQUES,))


def foresee_recipe(settings: Settings, recipe: str, hosts: Hosts, wanted: Wanted = None) -> Todo | None:
    """What a recipe will probably ask for after its hosts have changed, by the split that lies there."""
    from rlstir_core.contract.registry import MODES
    from rlstir_core.datasets.store import read_split
    from rlstir_core.detectors.models import MODELS
    from rlstir_core.staleness import HOST_STAGES, INVESTIGATOR, no_investigator

    title, trained = f"recipe {recipe}", (f"{len(MODES) * len(MODELS)} checkpoints", "baselines")
    if wanted is not None:
        early = {*SYNC_ASSETS, *INDEX_ASSETS, *HOST_STAGES, *LAB_ASSETS}
        return Todo(title=title, assets=tuple(sorted(wanted - early)), partitions=(recipe,))
    try:
        split = read_split(settings.layout, recipe)
    except UpstreamMissing:
        why = [f"{', '.join(INVESTIGATOR)} as well, {_WHERE_TECHNIQUES}"]
        return Todo(title=title, assets=("split", *trained, "detector_eval", "comparison_v2"), why=tuple(why))
    touched = set(hosts.changed)
    train = sorted(touched & {info.host for info in split.trained_on})
    test = sorted(touched & {info.host for info in split.tested} - set(train))
    new = sorted(touched.difference(info.host for info in split.episodes))
    always = settings.renewal().when == "always"
    then = "so all models are trained again" if always else "which stays until a training is due"
    why = [f"{_some(train)}: on the train side, {then}"] if train else []
    why += [f"{_some(test)}: on the test side alone, so models are scored again, not trained"] if test else []
    why += [f"{_some(new)}: new, the split decides"] if new else []
    learnt: tuple[str, ...] = () if no_investigator(settings.layout, split) else INVESTIGATOR
    anew = always and bool(train or new)
    learnt = learnt if anew else learnt[-1:]
    assets = ("split", *(trained if anew else ()), "detector_eval", *learnt, "comparison_v2")
    return Todo(title=title, assets=assets, why=tuple(why)) if touched else None


def ranges(order: Sequence[str], wanted: Sequence[str]) -> list[tuple[str, ...]]:
    """Neighbours in `order` that are all wanted, as runs."""
    runs: list[list[str]] = []
    last = None
    for place, name in enumerate(order):
        if name not in wanted:
            continue
        if last == place - 1 and runs:
            runs[-1].append(name)
        else:
            runs.append([name])
        last = place
    return [tuple(run) for run in runs]


def _todo(
    title: str, stale: Mapping[str, bool], wanted: Wanted, partitions: Sequence[str], why: Sequence[str]
) -> Todo | None:
    names = tuple(name for name, is_stale in stale.items() if (is_stale if wanted is None else name in wanted))
    if not names:
        return None
    if not any(stale[name] for name in names):
        why = ["asked for, though up to date"]
    return Todo(title=title, assets=names, partitions=tuple(partitions), why=tuple(why))


def _of_hosts(changes: Sequence[HostChanges]) -> str:
    counted = [
        (sum(each.new for each in changes), "new"),
        (sum(each.changed for each in changes), "changed"),
        (sum(each.gone for each in changes), "gone"),
    ]
    said = [f"{n} {word} {'episode' if n == 1 else 'episodes'}" for n, word in counted if n]
    return ", ".join(said) or "results are missing, or were made by an earlier version"


def _of_recipe(settings: Settings, recipe: str, stale: Mapping[str, bool], split: Split) -> list[str]:
    """Why a recipe's assets are made; a training is always explained."""
    from rlstir_core.detectors.why import why_trained
    from rlstir_core.staleness import same_modes
    from rlstir_core.telemetry.schema import read_schema

    trained = [
        (model, mode)
        for name, is_stale in stale.items()
        if is_stale and name.startswith(_CHECKPOINT)
        for model, _, mode in [name.removeprefix(_CHECKPOINT).rpartition("_")]
    ]
    layout, options = settings.layout, settings.options(recipe)
    same = same_modes(layout, options, split) if trained else {}
    reasons = why_trained(
        layout,
        options,
        split,
        read_schema(layout.feature_schema).sha256,
        [(model, mode) for model, mode in trained if mode not in same],
    )
    why = [f"trains {n} {_models(n)}: {reason}" for reason, n in reasons.items()]
    for mode, of in same.items():
        n = sum(each == mode for _, each in trained)
        why += [f"{n} {_models(n)} of mode {mode} are those of {of}: the same channels"] if n else []
    if not trained and stale["detector_eval"]:
        why.append("scores every model again: what it is made from has changed, or a file of the last one is missing")
    why += _of_logs(stale)
    if not why and stale["comparison_v2"]:
        why.append("the report is missing, is of an earlier version, or shows other recipes that were evaluated since")
    return why


def _of_logs(stale: Mapping[str, bool], kept: frozenset[str] = frozenset()) -> list[str]:
    """Why the assets of the investigator are made."""
    why = []
    if stale.get("encoder") and "encoder" not in kept:
        why.append("trains the encoder: not trained yet on these log rows, this split and these numbers")
    elif stale.get("encoder_eval"):
        why.append("scores the encoder: what it is made from has changed")
    if stale.get("ppo_policy") and "ppo_policy" not in kept:
        why.append("learns whom to ask what: not learnt yet on these log rows, this split and these numbers")
    elif stale.get("investigation_eval"):
        why.append("lets every policy investigate: what they are made from has changed")
    return why


def _models(n: int) -> str:
    return "model" if n == 1 else "models"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _HOSTS_NAMED} more" if len(names) > _HOSTS_NAMED else ""
    return ", ".join(names[:_HOSTS_NAMED]) + more
