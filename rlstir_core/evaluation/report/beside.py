"""Other recipes' evaluations: which lie there, and which may stand beside that of a report.

They may where they are of the same store, preset, seed and numbers, by what their manifests say. What does not belong
here: what is made of them (`honesty.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from rlstir_core.atomic import canonical_sha256
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.investigation.encoder_eval import read_encoder_evaluation
from rlstir_core.evaluation.investigation.records import EncoderEvaluation
from rlstir_core.evaluation.report.inputs import LeftOut, Manifest, ReportInputs
from rlstir_core.evaluation.stats.across import Sums, read_sums
from rlstir_core.results.layout import Layout

_SAME_CONFIG = ("preset", "set", "seed", "folds", "normalise", "min_shared_channels")
_SAME_HASHES = {
    "index": "another state of the store",
    "registry": "another registry",
    "feature_schema": "other channels or windows",
}


class _Head(msgspec.Struct):
    """As much of an evaluation as tells whether it is another one now."""

    manifest: Manifest


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluated:
    """One recipe's evaluation, and what of it is read only where it is set against another."""

    inputs: ReportInputs
    layout: Layout | None = None

    @property
    def recipe(self) -> str:
        return self.inputs.recipe

    @property
    def encoder(self) -> EncoderEvaluation | None:
        return self.inputs.investigation

    @cached_property
    def phase_sums(self) -> dict[str, Sums]:
        return {} if self.layout is None else read_sums(self.layout.episode_sums(self.recipe, "phases"))

    @cached_property
    def technique_sums(self) -> dict[str, Sums]:
        return {} if self.layout is None else read_sums(self.layout.episode_sums(self.recipe, "techniques"))

    @property
    def n_phases(self) -> int:
        return len(self.inputs.models[0].confusion.phases) if self.inputs.models else 0


def other_sides(layout: Layout, recipe: str) -> list[Evaluated]:
    """The evaluations of all other recipes that lie there."""
    return [
        Evaluated(inputs=_with_encoder(layout, found), layout=layout)
        for other in RECIPES
        if other != recipe and (found := read_inputs(layout, other)) is not None
    ]


def beside_sha256(layout: Layout, recipe: str) -> str:
    """The hash of which evaluations of other recipes lie there; empty where none does."""
    found = []
    for other in RECIPES:
        if other == recipe:
            continue
        try:
            head = msgspec.json.decode(layout.report_inputs(other).read_bytes(), type=_Head)
        except (FileNotFoundError, msgspec.DecodeError):
            continue
        encoder = read_encoder_evaluation(layout, other)
        found.append([other, head.manifest, "" if encoder is None else canonical_sha256(encoder)])
    return canonical_sha256(found) if found else ""


def why_not(own: Manifest, other: Manifest) -> str:
    """Why two evaluations cannot stand side by side; empty where they can."""
    for name, words in _SAME_HASHES.items():
        if own.hashes.get(name) != other.hashes.get(name):
            return f"it is of {words}"
    if own.versions.get("evaluation") != other.versions.get("evaluation"):
        return "another version of the program evaluated it"
    return _other_config(own.config, other.config, _SAME_CONFIG)


def _other_config(own: Mapping[str, object], other: Mapping[str, object], names: Iterable[str]) -> str:
    said = [f"{n} is {other.get(n)} there and {own.get(n)} here" for n in names if own.get(n) != other.get(n)]
    return ", ".join(said)


def comparable_encoders(
    own: Evaluated, sides: Mapping[str, Evaluated], left_out: list[LeftOut]
) -> dict[str, EncoderEvaluation]:
    """Those that were made with the same numbers as this recipe's, or as the first that there is; names the others."""
    found = {recipe: side.encoder for recipe, side in sides.items() if side.encoder is not None}
    first = found.get(own.recipe) or next(iter(found.values()), None)
    kept = {}
    for recipe, each in found.items():
        assert first is not None
        reason = _other_config(first.made_with, each.made_with, sorted(first.made_with | each.made_with))
        if not reason and each.knowledge_sha256 != first.knowledge_sha256:
            reason = "other technique texts were imported"
        if reason:
            left_out.append(LeftOut(recipe=recipe, reason=f"of its encoder, {reason}"))
        else:
            kept[recipe] = each
    return kept


def remedy(manifest: Manifest) -> tuple[str, ...]:
    """What a command must say besides the recipe, so that its evaluation can stand beside this one."""
    config = manifest.config
    words: list[str] = []
    for name, option, default in (("preset", "--preset", "smoke"), ("seed", "--seed", 0), ("folds", "--folds", 3)):
        if config.get(name, default) != default:
            words += [option, str(config[name])]
    if isinstance(least := config.get("min_shared_channels"), int):
        words += ["--min-shared-channels", str(least)]
    numbers = str(config.get("set", "nothing"))
    return (*words, *(w for each in numbers.split(", ") if numbers != "nothing" for w in ("--set", each)))


def _with_encoder(layout: Layout, inputs: ReportInputs) -> ReportInputs:
    """With the evaluation of its encoder, where that is of the split that the detectors were evaluated on."""
    found = read_encoder_evaluation(layout, inputs.recipe)
    same = found is not None and found.split_sha256 == inputs.manifest.hashes.get("split")
    return msgspec.structs.replace(inputs, investigation=found if same else None)
