"""`rlstir list`: the hosts, episodes and results that there are, as plain records.

What does not belong here: how they are printed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.episodes.store.index import StoreIndex
from rlstir_core.episodes.validation.verdicts import ValidationRow, read_validation
from rlstir_core.errors import UpstreamMissing
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.report.sections.verdict import chosen_model, is_void
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.results.layout import Layout

_NOT_YET = "not validated"


class ListedHost(msgspec.Struct, frozen=True, kw_only=True):
    """A host of the store: how many episodes the index names, and how many of each verdict there are."""

    host: str
    episodes: int
    n_bytes: int
    verdicts: dict[str, int]


class ListedEpisode(msgspec.Struct, frozen=True, kw_only=True):
    """An episode that the index names."""

    host: str
    episode: str
    n_bytes: int
    profile: str | None
    sample_name: str | None
    verdict: str
    reason: str


class ListedResult(msgspec.Struct, frozen=True, kw_only=True):
    """The report of one recipe, or what was said of its logs where there is nothing else."""

    recipe: str
    report: str  # empty where no detector was evaluated
    html: str
    episodes_tested: int
    chosen: str | None
    chosen_by: str | None
    macro_f1: Estimate | None
    void: bool
    encoder: str | None  # how well it does, in a line
    encoder_figures: str | None  # the file


def list_hosts(index: StoreIndex, layout: Layout) -> Iterator[ListedHost]:
    """Every host of the index, by name."""
    for host in index.hosts:
        entries = index.of_host(host)
        verdicts = _verdicts(layout, host)
        counted = Counter(verdicts[e.episode_id].verdict if e.episode_id in verdicts else _NOT_YET for e in entries)
        yield ListedHost(
            host=host, episodes=len(entries), n_bytes=sum(e.n_bytes for e in entries), verdicts=dict(counted)
        )


def list_episodes(index: StoreIndex, layout: Layout, host: str = "") -> Iterator[ListedEpisode]:
    """Every episode of the index (of one host), by host and name."""
    for each in index.hosts:
        if host and each != host:
            continue
        verdicts = _verdicts(layout, each)
        for entry in sorted(index.of_host(each), key=lambda e: e.episode_id):
            row = verdicts.get(entry.episode_id)
            yield ListedEpisode(
                host=each,
                episode=entry.episode_id,
                n_bytes=entry.n_bytes,
                profile=entry.profile,
                sample_name=entry.sample_name,
                verdict=_NOT_YET if row is None else row.verdict,
                reason="" if row is None else row.reason,
            )


def list_results(layout: Layout) -> Iterator[ListedResult]:
    """The report of every recipe that has one, and the encoder of every recipe."""
    from rlstir_core.evaluation.investigation.encoder_eval import read_encoder_evaluation
    from rlstir_core.evaluation.report.encoder_card import encoder_line

    for recipe in RECIPES:
        path, inputs = layout.report(recipe), read_inputs(layout, recipe)
        evaluation = read_encoder_evaluation(layout, recipe)
        encoder = None if evaluation is None else encoder_line(evaluation)
        figures = None if evaluation is None else str(layout.encoder_evaluation(recipe))
        if inputs is None or not path.exists():
            if evaluation is not None:
                yield ListedResult(
                    recipe=recipe,
                    report="",
                    html="",
                    episodes_tested=evaluation.n_test_episodes,
                    chosen=None,
                    chosen_by=None,
                    macro_f1=None,
                    void=False,
                    encoder=encoder,
                    encoder_figures=figures,
                )
            continue
        chosen = chosen_model(inputs)
        yield ListedResult(
            recipe=recipe,
            report=str(path),
            html=str(path.with_suffix(".html")),
            episodes_tested=inputs.split.test.episodes,
            chosen=None if chosen is None else chosen[0].name,
            chosen_by=None if chosen is None else chosen[1],
            macro_f1=None if chosen is None else chosen[0].metrics.macro_f1,
            void=is_void(inputs),
            encoder=encoder,
            encoder_figures=figures,
        )


def _verdicts(layout: Layout, host: str) -> dict[str, ValidationRow]:
    try:
        return {row.episode_id: row for row in read_validation(layout.validation(host))}
    except UpstreamMissing:
        return {}
