"""`splits/<recipe>.json`: the only place that says who trains and who tests; written once, read by everything after.

What does not belong here: deciding it (`split.py`).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from rlstir_core.atomic import canonical_sha256, sweep, write_json
from rlstir_core.datasets.checks import check_split
from rlstir_core.datasets.duplicates import Twins
from rlstir_core.datasets.episodes import episode_table, host_inputs
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.datasets.recipes.base import SplitCheck, SplitSettings
from rlstir_core.datasets.renewal import ALWAYS, Renewal, Strayed
from rlstir_core.datasets.split import FORMAT, Split, heeded, make_split, recipe_spec
from rlstir_core.datasets.staying import next_split
from rlstir_core.errors import SplitRefused, UpstreamMissing
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.results.versions import version


def build_split(
    layout: Layout, recipe: str, hosts: Sequence[str], settings: SplitSettings, renewal: Renewal = ALWAYS
) -> tuple[Split, bool]:
    """Splits the episodes of `hosts` and writes the split; (split, False) where nothing had changed since.

    SplitRefused names the check that fails; the split before it then stays in place.
    """
    settings = heeded(recipe_spec(recipe), settings)
    with holding(layout.lock("split", recipe)):
        key = split_input_sha256(layout, recipe, hosts, settings, renewal)
        kept = _kept(layout, recipe)
        strayed = _strayed(layout, recipe, renewal, kept)
        if kept is not None and kept.input_sha256 == key and strayed is None:
            return kept, False
        split, twins = next_split(recipe, episode_table(layout, hosts), settings, renewal, kept, strayed)
        checks = _checked(split, twins)
        split = msgspec.structs.replace(split, input_sha256=key, checks=checks)
        split = msgspec.structs.replace(split, own_sha256=split.seal())
        path = layout.split(recipe)
        sweep(path.parent, path.name)
        write_json(path, split)
        if strayed is not None:  # it was heeded, also where the train side had to stay
            layout.strayed(recipe).unlink(missing_ok=True)
        return split, True


def try_split(
    layout: Layout, recipe: str, hosts: Sequence[str], settings: SplitSettings, renewal: Renewal = ALWAYS
) -> Split:
    """What `build_split` would give; SplitRefused where the recipe cannot be applied. Nothing is written."""
    settings = heeded(recipe_spec(recipe), settings)
    kept = _kept(layout, recipe)
    strayed = _strayed(layout, recipe, renewal, kept)
    split, twins = next_split(recipe, episode_table(layout, hosts), settings, renewal, kept, strayed)
    _checked(split, twins)
    return split


def refused_recipes(layout: Layout, hosts: Sequence[str], settings: SplitSettings) -> dict[str, str]:
    """Every recipe, and why it cannot be applied to the episodes of `hosts`; empty where it can be.

    Of duplicates, only equal contents are looked for: near ones take a search for every recipe.
    """
    episodes = [msgspec.structs.replace(info, signature=()) for info in episode_table(layout, hosts)]
    found = {}
    for name, spec in RECIPES.items():
        try:
            split, twins = make_split(name, episodes, heeded(spec, settings))
            _checked(split, twins)
            found[name] = ""
        except SplitRefused as error:
            found[name] = str(error)
    return found


def _checked(split: Split, twins: Twins) -> tuple[SplitCheck, ...]:
    checks = check_split(split, twins)
    for check in checks:
        if not check.holds:
            raise SplitRefused(f"split {split.recipe!r} fails its check {check.name!r}: {check.detail}")
    return checks


def split_is_current(
    layout: Layout, recipe: str, hosts: Sequence[str], settings: SplitSettings, renewal: Renewal = ALWAYS
) -> bool:
    """Whether `build_split` would find nothing new."""
    settings = heeded(recipe_spec(recipe), settings)
    kept = _kept(layout, recipe)
    if kept is None or _strayed(layout, recipe, renewal, kept) is not None:
        return False
    return kept.input_sha256 == split_input_sha256(layout, recipe, hosts, settings, renewal)


def split_input_sha256(
    layout: Layout, recipe: str, hosts: Sequence[str], settings: SplitSettings, renewal: Renewal = ALWAYS
) -> str:
    """The hash of everything that decides a split."""
    inputs = [host_inputs(layout, host) for host in sorted(hosts)]
    return canonical_sha256([version("split"), recipe, settings, inputs, renewal])


def read_split(layout: Layout, recipe: str, settings: SplitSettings | None = None) -> Split:
    """The split on disk; UpstreamMissing where none is whole, or it was made with other settings than `settings`."""
    kept = _kept(layout, recipe)
    if kept is None:
        fault = "is not as it was written" if layout.split(recipe).exists() else "is missing"
        raise UpstreamMissing(f"{layout.split(recipe)} {fault}; make it with: {how_to_make('split', recipe)}")
    if settings is not None and kept.settings != heeded(recipe_spec(recipe), settings):
        raise UpstreamMissing(
            f"{layout.split(recipe)} was made with other hosts, corpora, folds or seed than are asked for now; make it "
            f"again with: {how_to_make('split', recipe)}"
        )
    return kept


def _kept(layout: Layout, recipe: str) -> Split | None:
    try:
        split = msgspec.json.decode(layout.split(recipe).read_bytes(), type=Split)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    whole = split.format == FORMAT and split.recipe == recipe and split.own_sha256 == split.seal()
    return split if whole else None


def _strayed(layout: Layout, recipe: str, renewal: Renewal, kept: Split | None) -> Strayed | None:
    """What the last evaluation found of the hosts that `kept` trains on, where it is a reason to train anew."""
    if kept is None or renewal.when != "due":
        return None
    try:
        found = msgspec.json.decode(layout.strayed(recipe).read_bytes(), type=Strayed)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if found.is_over(renewal, kept.train_sha256) else None
