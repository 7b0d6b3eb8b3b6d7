"""All logs together: what was read, the techniques and stretches of all of them, one risk, and what is missing.

What does not belong here: what is said of one log (`judging.py`), and how it is shown.
"""

# C techniques
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from rlstir_core.contract.registry import Registry
from rlstir_core.datasets.recipes import RECIPES
from rlstir_core.errors import CheckpointError, ConfigError, StoreError, UpstreamMissing
from rlstir_core.hostlogs.record_ids import IDS
from rlstir_core.investigator.inquiry.gathering import Gathered, gathered
from rlstir_core.investigator.inquiry.judging import BY_TEXTS, Judges, judged, known_names
from rlstir_core.investigator.inquiry.records import Inquiry, LogSaid, Risk, SpanSaid, TechniqueFound, TechniqueSaid
from rlstir_core.investigator.inquiry.together import AttackReader
from rlstir_core.investigator.single import OpenEncoder, open_encoder
from rlstir_core.investigator.tamper.spans import tamper_of
from rlstir_core.investigator.techniques.knowledge import NO_KNOWLEDGE, fit_knowledge
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.tactics import tactic_table
from rlstir_core.progress import Progress
from rlstir_core.remedies import materialize
from rlstir_core.results.champion import champion_of
from rlstir_core.results.layout import Layout

_NAME_CHARS = 60


def investigate(
    paths: Sequence[Path],
    layout: Layout,
    *,
    registry: Registry,
    recipe: str = "",
    zone: str = "",
    zones: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Inquiry:
    """What happened in these logs.

    StoreError where there is nothing to read; UpstreamMissing or CheckpointError where the encoder of the `recipe` that
    is asked for cannot be used.
    """
    tell: Progress = progress or (lambda done, total, what: None)
    encoder, no_encoder = _encoder(layout, recipe, tell)
    tell(0, 0, "reading what public texts say of techniques")
    knowledge = fit_knowledge(layout)
    judges = Judges(
        knowledge=knowledge, names=known_names(_names(layout)), tactics=tactic_table(layout), encoder=encoder
    )
    with gathered(
        paths,
        registry=registry,
        zone=zone,
        zones=zones,
        progress=lambda n, _, what: tell(0, 0, f"{n} logs read; {what}"),
    ) as found:
        reader = AttackReader(encoder=encoder, private=found.private / "rows.parquet") if encoder is not None else None
        said: list[LogSaid] = []
        for rows in found.logs():
            tell(len(said), found.n_logs, rows.name)
            tampering = tamper_of(rows.table)
            by_rows = None
            if reader is not None and rows.recording:
                by_rows = reader.recording(rows, tampering.p_tamper_N)
            elif reader is not None:
                reader.log(rows, tampering.p_tamper_N)
            said.append(judged(rows, judges, tampering, by_rows))
        if not said:
            raise StoreError(f"no log row in {', '.join(map(str, paths))}; name logs, or an episode that has some")
        if reader is not None:
            tell(0, 0, "reading what stands together")
            reader.finish()
        sayable = set(LABELS if reader is not None and any(log.recording for log in said) else ())
        sayable.update(knowledge.ids if knowledge is not None else ())
        return _together(paths, said, found, reader, sorted(sayable), _risk(reader, no_encoder))


def _encoder(layout: Layout, recipe: str, tell: Progress) -> tuple[OpenEncoder | None, str]:
    """The encoder, or why there is none."""
    if recipe and recipe not in RECIPES:
        raise ConfigError(f"recipe {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
    there = [recipe] if recipe else [each for each in RECIPES if layout.encoder(each).exists()]
    if not there:
        return None, f"no encoder is under {layout.data}; train one with: {materialize()}"
    tell(0, 0, f"opening the encoder of recipe {there[0]}")
    try:
        encoder = open_encoder(champion_of(layout, there[0], layout.encoder(there[0])), there[0])
    except (CheckpointError, UpstreamMissing) as error:
        if recipe:
            raise
        return None, str(error)
    if encoder.network.first_look is None:
        return None, f"the encoder of recipe {there[0]} was trained on logs whose labels do not say what is benign"
    return encoder, ""


def _risk(reader: AttackReader | None, why_none: str) -> Risk:
    if reader is None:
        return Risk(p=None, why=why_none)
    checkpoint, p = reader.encoder.checkpoint, reader.risk
    if p is None:
        return Risk(p=None, why=f"the encoder of recipe {checkpoint.recipe} had too few episodes to calibrate it on")
    # it learnt from both at the end
    learnt = checkpoint.facts.n_train_episodes + checkpoint.facts.n_validation_episodes
    return Risk(p=p, why=f"the encoder of recipe {checkpoint.recipe}, trained on {learnt} episodes")


def _together(
    paths: Sequence[Path],
    said: list[LogSaid],
    found: Gathered,
    reader: AttackReader | None,
    sayable: list[str],
    risk: Risk,
) -> Inquiry:
    rows, hosts = (_summed([getattr(log, name) for log in said]) for name in ("rows", "hosts"))
    firsts = [log.t_first_wall_ns for log in said if log.t_first_wall_ns is not None]
    lasts = [log.t_last_wall_ns for log in said if log.t_last_wall_ns is not None]
    spans = sorted((span for log in said for span in log.spans), key=_order)
    return Inquiry(
        paths=tuple(map(str, paths)),
        recipe=reader.encoder.checkpoint.recipe if reader is not None else "",
        n_logs=len(said),
        n_rows=sum(rows.values()),
        rows=rows,
        hosts=hosts,
        t_first_wall_ns=min(firsts, default=None),
        t_last_wall_ns=max(lasts, default=None),
        read=(*found.warnings, *_lost(said)),
        techniques=_found(said),
        n_named=sum(any(each.named for each in log.techniques) for log in said),
        sayable=tuple(sayable),
        spans=tuple(spans),
        n_flagged=sum(len(log.flagged) for log in said),
        n_judged=sum(log.n_files for log in said),
        risk=risk,
        attack_rows=tuple(reader.rows) if reader is not None else (),
        lacks=tuple(_lacks(said, risk, bool(sayable))),
        logs=tuple(said),
    )


def _found(said: Sequence[LogSaid]) -> tuple[TechniqueFound, ...]:
    """The techniques that are named, in most logs first."""
    best: dict[str, tuple[TechniqueSaid, LogSaid]] = {}
    logs: dict[str, set[int]] = {}
    for place, log in enumerate(said):
        for each in log.techniques:
            if each.named:
                logs.setdefault(each.technique, set()).add(place)
                if each.technique not in best or each.score > best[each.technique][0].score:
                    best[each.technique] = each, log
    found = [
        TechniqueFound(
            technique=technique,
            name=each.name,
            tactics=each.tactics,
            logs=len(logs[technique]),
            score=each.score,
            by=each.by,
            log=log.name,
            row=each.rows[0] if each.rows else None,
        )
        for technique, (each, log) in best.items()
    ]
    return tuple(sorted(found, key=lambda each: (-each.logs, -each.score, each.technique)))


def _lost(said: Sequence[LogSaid]) -> list[str]:
    """What of recordings was not read; an import tells it of its own logs."""
    found = []
    for log in said:
        if log.recording and log.unparsed:
            found.append(f"{log.name}: {log.unparsed:,} of {log.n_rows:,} rows could not be parsed")
        if log.left_out:
            found.append(f"{log.name}: {log.left_out:,} rows over the bound of one log were left out; split it")
    return found


def _lacks(said: Sequence[LogSaid], risk: Risk, texts: bool) -> list[str]:
    """What could not be judged, and why."""
    found = []
    by_texts = sum(any(each.by == BY_TEXTS for each in log.techniques) for log in said)
    if not texts:
        found.append(f"techniques: nothing to know them by: {NO_KNOWLEDGE}")
    elif by_texts < len(said):
        found.append(f"techniques by texts: {len(said) - by_texts} of {len(said)} logs hold no word that texts know")
    if risk.p is None:
        found.append(f"risk: {risk.why}")
    elif not all(log.recording for log in said) or len(said) > 1:
        found.append("risk: calibrated on single recordings of hosts; of other logs it is a rank, no probability")
    bare = {channel: n for channel, n in _summed([log.rows for log in said]).items() if channel not in IDS}
    if bare:
        found.append(
            f"tampering: {sum(bare.values()):,} rows ({', '.join(sorted(bare))}) have no number of their own, so rows "
            "that were taken out leave no gap"
        )
    untimed = [log for log in said if log.t_first_wall_ns is None]
    if untimed:
        found.append(f"time: {len(untimed)} logs have no row with a time, the first {untimed[0].name}")
    return found


def _names(layout: Layout) -> dict[str, str]:
    """What ATT&CK's own texts call techniques: a text of one technique begins with its name."""
    found: dict[str, str] = {}
    if layout.knowledge.exists():
        with pq.ParquetFile(layout.knowledge) as file:
            columns = ["id", "text", "techniques", "kind"]
            for batch in file.iter_batches(columns=columns, use_threads=False):
                for row in batch.to_pylist():
                    name, dot, _ = row["text"].partition(". ")
                    if [row["id"]] == row["techniques"] and dot and len(name) <= _NAME_CHARS:
                        found.setdefault(row["id"], name)
    return found


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(sorted(total.items(), key=lambda each: (-each[1], each[0])))


def _order(span: SpanSaid) -> tuple[float, str, int]:
    return -span.score, span.log, span.after_seq
