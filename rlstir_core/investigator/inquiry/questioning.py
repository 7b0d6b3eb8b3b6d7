"""All logs that a user names, as cases that a policy investigates: an episode is one, and so are the logs of a host.

What does not belong here: the investigation of one case (`asking.py`), opening logs (`gathering.py`).
"""

# N rows
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.arrays import Floats
from rlstir_core.contract.registry import Registry
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.errors import ConfigError, StoreError, UpstreamMissing
from rlstir_core.hostlogs.attack.techniques import techniques
from rlstir_core.investigator.acting.checkpoint import Actors, open_actors, read_acting
from rlstir_core.investigator.belief.words import row_words
from rlstir_core.investigator.inquiry.asking import Heard, LogCase, checked_budget, checked_policy, nobody, questioner
from rlstir_core.investigator.inquiry.gathering import Gathered, LogRows, gathered
from rlstir_core.investigator.inquiry.records import Believed, CaseAsked, Questioning
from rlstir_core.investigator.inquiry.together import ROWS_HELD, as_one, numbered, numbered_name, numbered_shown
from rlstir_core.investigator.reading.view import view_of
from rlstir_core.investigator.soc.cases import case_of
from rlstir_core.investigator.soc.detecting import ATTACK
from rlstir_core.investigator.tamper.spans import Suspicion, Tampering, tamper_of
from rlstir_core.progress import Progress
from rlstir_core.provenance.store import graph_of
from rlstir_core.remedies import materialize
from rlstir_core.results.champion import champion_of
from rlstir_core.results.layout import Layout

_MOST_SPANS: Final = 50  # of a log
_APART: Final = f"after every {ROWS_HELD:,} rows or so, logs that follow are investigated apart, also of the same host"


def question(
    paths: Sequence[Path],
    layout: Layout,
    *,
    policy: str,
    registry: Registry,
    budget: float | None = None,
    recipe: str = "",
    zone: str = "",
    zones: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    heard: Heard = nobody,
) -> Questioning:
    """How a policy investigates these logs; without a budget, under the one that it was trained for.

    Who listens hears each step as it is taken.

    UpstreamMissing where nobody has learnt to investigate, StoreError where there is no row to begin with.
    """
    tell: Progress = progress or (lambda done, total, what: None)
    checked_policy(policy), checked_budget(budget)
    chosen = _recipe(layout, recipe)
    layout = champion_of(layout, chosen, layout.acting(chosen))
    checkpoint = read_acting(layout, chosen)
    tell(0, 0, f"opening the policies of recipe {checkpoint.recipe}")
    actors = open_actors(layout, checkpoint)
    cases: list[CaseAsked] = []
    with (
        questioner(actors, policy, budget or checkpoint.budget) as who,
        gathered(
            paths,
            registry=registry,
            zone=zone,
            zones=zones,
            progress=lambda n, _, what: tell(0, 0, f"{n} logs read; {what}"),
        ) as found,
    ):
        for each in _cases(found, actors, tell):
            tell(len(cases), 0, f"{policy} investigates {each.name}")
            cases.append(who.ask(each, heard))
        if not cases:
            raise StoreError(f"no log row in {', '.join(map(str, paths))}; name logs, or an episode that has some")
        return Questioning(
            paths=tuple(map(str, paths)),
            recipe=checkpoint.recipe,
            policy=policy,
            budget=budget or checkpoint.budget,
            n_learnt=checkpoint.facts.n_cases,
            read=tuple(found.warnings),
            names=_names(cases),
            cases=tuple(cases),
        )


def _recipe(layout: Layout, recipe: str) -> str:
    """The recipe that is asked for, or the first of which somebody learnt to investigate."""
    if recipe and recipe not in RECIPES:
        raise ConfigError(f"recipe {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
    there = [recipe] if recipe else [each for each in RECIPES if layout.acting(each).exists()]
    if not there:
        raise UpstreamMissing(f"nobody has learnt to investigate under {layout.data}; make it with: {materialize()}")
    return there[0]


@dataclass(kw_only=True)
class _Host:
    """Logs of one host that wait to be investigated together."""

    logs: list[tuple[pa.Table, Floats]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    spans: list[Suspicion] = field(default_factory=list)


def _cases(found: Gathered, actors: Actors, tell: Progress) -> Iterator[LogCase]:
    """Recordings one by one, other logs host by host once there are many rows of them."""
    private, held, n_held = found.private / "rows.parquet", dict[str, _Host](), 0
    for n, rows in enumerate(found.logs(), 1):
        tell(n - 1, found.n_logs, rows.name)
        tampering = tamper_of(rows.table)
        table, spans = numbered(rows, n), _numbered_spans(rows, n, tampering)
        if rows.recording:
            yield _case(private, actors, rows.name, rows.host, True, table, tampering.p_tamper_N, spans)
            continue
        own = held.setdefault(rows.host, _Host())
        own.logs.append((table, tampering.p_tamper_N))
        own.names.append(rows.name)
        own.spans += spans
        n_held += len(table)
        if n_held >= ROWS_HELD:
            if n < found.n_logs and _APART not in found.warnings:
                found.warnings.append(_APART)
            yield from _hosts(private, actors, held)
            n_held, held = 0, {}
    yield from _hosts(private, actors, held)


def _hosts(private: Path, actors: Actors, held: Mapping[str, _Host]) -> Iterator[LogCase]:
    for host, own in held.items():
        more = f" and {len(own.names) - 1} more" if len(own.names) > 1 else ""
        yield _case(private, actors, f"{own.names[0]}{more}", host, False, *as_one(own.logs), own.spans)


def _numbered_spans(rows: LogRows, n: int, tampering: Tampering) -> list[Suspicion]:
    return [
        msgspec.structs.replace(span, member=numbered_name(rows, n, span.member))
        for span in tampering.spans[:_MOST_SPANS]
    ]


def _case(
    private: Path,
    actors: Actors,
    name: str,
    host: str,
    recording: bool,
    table: pa.Table,
    p_tamper_N: Floats,
    spans: Sequence[Suspicion],
) -> LogCase:
    pq.write_table(table, private, compression="none", use_dictionary=False, write_statistics=False)
    graph, _ = graph_of(private)
    with pq.ParquetFile(private) as file:
        words = row_words(view_of(file, graph, (), p_tamper_N, numbers=False))
    vector_ND = actors.belief.vectors(words)
    case = case_of(
        table, graph, vector_ND, vector_ND[:, ATTACK].astype("float32"), None, actors.checkpoint.seed,
        episode_id=name, host=host, p_tamper_N=p_tamper_N, names=True,
    )  # fmt: skip
    return LogCase(name=name, recording=recording, case=case, table=table, shown=numbered_shown, spans=spans)


def _names(cases: Sequence[CaseAsked]) -> dict[str, str]:
    """What the techniques are called that stand in what is said."""
    known = techniques()
    said: list[Believed] = [each for case in cases for each in (case.first, case.verdict)]
    said += [each for case in cases for query in case.queries for each in (query.before, query.after)]
    return {own: known[own].name for own in sorted({own for each in said for own in each.techniques}) if own in known}
