"""When a report was made, and what changed since the last report of its recipe.

Both differ between two runs of equal inputs, so neither may stand in what is compared: the markdown, whose hash is the
asset's data version, and the manifest. They stand on the page alone, in one list and one section of their own, and are
kept beside the report in `_history.json` (like a ledger, no result): the essentials of the report that lies there and
of those before it. A report's essentials are on disk before anything of the next one is. The page, once made, stays the
same: drawing the same evaluation again keeps its record with its time, so that no report is ever the last report of
itself. What does not belong here: the table of scores so far (`sections/scores.py`), and what a report says otherwise
(`sections/`).
"""

# ruff: noqa: RUF012 - msgspec gives every instance its own empty dict
from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from rlstir_core.atomic import write_json
from rlstir_core.contract.registry import PRIMARY_MODE
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import figure, listed, plural, signed
from rlstir_core.evaluation.report.rows import distinct
from rlstir_core.evaluation.report.sections.verdict import chosen_model
from rlstir_core.evaluation.stats.across import Sums, tested_phases_of
from rlstir_core.evaluation.stats.intervals import Estimate
from rlstir_core.evaluation.stats.paired import paired_macro_f1
from rlstir_core.evaluation.stats.records import Record

SumsOf = Mapping[str, Sums]
_HOSTS_NAMED = 4
_SETTINGS_NAMED = 3
_KEPT = 400  # evaluations: more than a year of nights


class Succession(Record, frozen=True, kw_only=True):
    """The model that is spoken of now minus the one before it, on the test episodes that both were scored on."""

    before: str
    now: str
    n_episodes: int
    difference: Estimate


class Essentials(Record, frozen=True, kw_only=True):
    """What a later report says of this one."""

    evaluation: str  # the key of the evaluation that it tells of
    made_s: int  # since 1970, UTC
    episodes: dict[str, int]  # of each host, those rejected left out
    test_episodes: int
    model: str  # the realistic model that it speaks of; empty where none could be scored
    macro_f1: Estimate
    settings: dict[str, str]
    tested_from_ns: int | None = None  # when the first test recording began and the last one ended
    tested_until_ns: int | None = None
    renewal: str = ""  # whether the train side stayed, and why
    scores: dict[str, Estimate] = {}  # macro F1 by model
    succession: Succession | None = None


class History(Record, frozen=True, kw_only=True):
    """The report that lies there, and those before it, the oldest first."""

    current: Essentials
    earlier: tuple[Essentials, ...] = ()

    @property
    def previous(self) -> Essentials | None:
        return self.earlier[-1] if self.earlier else None


def history_path(report: Path) -> Path:
    return report.with_name("_history.json")


def read_history(report: Path) -> History | None:
    """What was kept of the report at this path; None where nothing was, or nothing that can be understood."""
    try:
        return msgspec.json.decode(history_path(report).read_bytes(), type=History)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def write_history(report: Path, history: History) -> None:
    write_json(history_path(report), history)


def continued(
    kept: History | None, inputs: ReportInputs, now_s: float, before: SumsOf | None = None, now: SumsOf | None = None
) -> History:
    """The history once a report of `inputs` is there: the same one where it tells of the same evaluation.

    `before` and `now` are the counts by test episode of the realistic models of the last evaluation and of this one.
    """
    key = inputs.manifest.hashes.get("evaluation_inputs", "")
    if kept is not None and kept.current.evaluation == key:
        return kept
    chosen = chosen_model(inputs)
    current = Essentials(
        evaluation=key,
        made_s=int(now_s),
        episodes={host.host: host.ok + host.degraded for host in inputs.quality.hosts},
        test_episodes=inputs.split.test.episodes,
        model=chosen[0].model if chosen else "",
        macro_f1=chosen[0].metrics.macro_f1 if chosen else Estimate(value=None),
        settings={name: str(value) for name, value in inputs.manifest.config.items()},
        tested_from_ns=inputs.split.test.first_wall_ns,
        tested_until_ns=inputs.split.test.last_wall_ns,
        renewal=inputs.split.renewal,
        scores={each.name: each.metrics.macro_f1 for each in distinct(inputs)},
    )
    if kept is None:
        return History(current=current)
    current = msgspec.structs.replace(current, succession=_succession(kept.current, current, before or {}, now or {}))
    return History(current=current, earlier=(*kept.earlier, kept.current)[-_KEPT:])


def _succession(last: Essentials, current: Essentials, before: SumsOf, now: SumsOf) -> Succession | None:
    """Paired over the episodes of both test sides; None where there are none, or the counts are of another report."""
    old, new = (found.get(f"{each.model}_{PRIMARY_MODE}") for each, found in ((last, before), (current, now)))
    if old is None or new is None or old.sums_ES.shape[1] != new.sums_ES.shape[1]:
        return None
    n_phases = round(new.sums_ES.shape[1] ** 0.5)
    if tested_phases_of(last.macro_f1, old, n_phases).statistic is None:
        return None
    shared, old_at, new_at = np.intersect1d(old.episode_E, new.episode_E, return_indices=True)
    one, other = Sums(shared, new.sums_ES[new_at]), Sums(shared, old.sums_ES[old_at])
    difference = paired_macro_f1(one, other, n_phases)
    return Succession(before=last.model, now=current.model, n_episodes=len(shared), difference=difference)


def made_lines(history: History) -> list[str]:
    """When the report was made, and what changed: plain lines, whose names come from data."""
    now, last = history.current, history.previous
    made = f"Made {_minute(now.made_s)} UTC."
    if last is None:
        return [made, "First report of this recipe here."]
    lines = [made, f"Since the last report ({_minute(last.made_s)} UTC): {changes(last, now)}."]
    each = now.succession
    if each is not None and each.n_episodes and (each.now != each.before or each.difference.value != 0):
        lines.append(
            f"On the {plural(each.n_episodes, 'test episode')} of both: {each.now} of now minus {each.before} of "
            f"before {signed(each.difference)} in macro F1."
        )
    return [*lines, *([f"Training: {now.renewal}."] if now.renewal else [])]


def changes(last: Essentials, now: Essentials) -> str:
    """`5 episodes more (host-a +5), 1 host new (host-c); gbt 0.510 before, mlp 0.530 now, on other test episodes`."""
    said = [*_episodes(last, now), *_hosts(last, now), *_settings(last, now)] or ["the same hosts, as many episodes"]
    return f"{', '.join(said)}; {_score(last)} before, {_score(now)} now"


def _episodes(last: Essentials, now: Essentials) -> list[str]:
    moved = {
        host: now.episodes.get(host, 0) - last.episodes.get(host, 0) for host in sorted(last.episodes | now.episodes)
    }
    said = []
    for sign, words in ((1, "more"), (-1, "fewer")):
        some = {host: n for host, n in moved.items() if n * sign > 0}
        if some:
            named = [f"{host} {n:+,}" for host, n in list(some.items())[:_HOSTS_NAMED]]
            more = [f"{len(some) - _HOSTS_NAMED} more"] if len(some) > _HOSTS_NAMED else []
            said.append(f"{plural(abs(sum(some.values())), 'episode')} {words} ({', '.join([*named, *more])})")
    return said


def _hosts(last: Essentials, now: Essentials) -> list[str]:
    said = []
    for names, words in ((now.episodes.keys() - last.episodes, "new"), (last.episodes.keys() - now.episodes, "gone")):
        if names:
            named = sorted(names)
            more = [f"{len(named) - _HOSTS_NAMED} more"] if len(named) > _HOSTS_NAMED else []
            said.append(f"{plural(len(named), 'host')} {words} ({listed([*named[:_HOSTS_NAMED], *more])})")
    return said


def _settings(last: Essentials, now: Essentials) -> list[str]:
    other = [name for name in sorted(last.settings | now.settings) if last.settings.get(name) != now.settings.get(name)]
    said = [f"{name} {last.settings.get(name, 'none')} -> {now.settings.get(name, 'none')}" for name in other]
    more = [f"{len(said) - _SETTINGS_NAMED} more settings"] if len(said) > _SETTINGS_NAMED else []
    return [*said[:_SETTINGS_NAMED], *more]


def _score(of: Essentials) -> str:
    if not of.model:
        return "no model that could be scored"
    return f"{of.model} {figure(of.macro_f1)} on {plural(of.test_episodes, 'test episode')}"


def _minute(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
