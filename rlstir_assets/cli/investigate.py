"""`rlstir investigate`: what happened in these logs, as people read it.

What does not belong here: opening logs, and what is said of them (`rlstir_core/investigator/inquiry`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from rlstir_assets.cli.asked import asked_lines
from rlstir_assets.cli.common import (
    READ_HELP,
    STORE_HELP,
    WIDTH,
    as_text,
    refusing,
    short,
    work_between,
    wrapped,
)
from rlstir_assets.console import Console, plain
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.remedies import Workplace, command

if TYPE_CHECKING:
    from rlstir_core.contract.registry import Registry
    from rlstir_core.investigator.inquiry.records import (
        Inquiry,
        Questioning,
        RowSaid,
        SpanSaid,
        TechniqueFound,
        TechniqueSaid,
    )
    from rlstir_core.progress import Progress

_TECHNIQUES, _SPANS, _ATTACK_ROWS, _LISTED = 6, 4, 3, 4


class Given(TypedDict):
    """What both ways to investigate are given."""

    registry: Registry
    recipe: str
    zone: str
    zones: Mapping[str, str]
    progress: Progress


@click.command(short_help="What happened in any logs, with the rows that say so.")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--recipe", default="", help="Whose encoder: host, corpus, time ... [the first that there is]")
@click.option("--host", default="", help="The host that recorded it, where an id of the store is not enough.")
@click.option(
    "--timezone",
    "zones",
    multiple=True,
    metavar="ZONE|HOST=ZONE",
    help="The zone of times that name none, such as Europe/Berlin or +08:00; may be given again for a host.",
)
@click.option(
    "--policy",
    default="",
    help="Who asks query by query: ppo, greedy, learned_greedy, fixed_order, playbook or 'exec:COMMAND'.",
)
@click.option("--budget", type=float, default=None, help="What the queries of --policy may cost [what it learnt with]")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document.")
@refusing
def investigate(
    paths: tuple[str, ...],
    data: str | None,
    store: str | None,
    recipe: str,
    host: str,
    zones: tuple[str, ...],
    policy: str,
    budget: float | None,
    as_json: bool,
) -> None:
    """What happened here: ATT&CK techniques, stretches that look tampered with, and how likely an attack is.

    PATH is a log or a folder, zip or tar of logs (EVTX, Windows event JSON, auditd, syslog, journald), an episode's
    tarball, or the id of an episode of the store. Labels are not read, and nothing is kept.

    With --policy, one that learnt to investigate asks query by query under a budget, from the row that looks most like
    an attack to a verdict.

    Example: rlstir investigate /media/usb/evtx.zip

    Example: rlstir investigate ep-17.tar.zst --policy ppo --budget 20
    """
    if budget is not None and not policy:
        raise ConfigError("--budget is what the queries of a policy may cost; name one with --policy, such as ppo")
    target, source = work_between(data, store)
    if data is not None and not target.is_dir():
        raise StoreError(f"{target} is not a folder; name the data folder of a `rlstir materialize` with --data")
    with Console(quiet=as_json) as console:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        console.say(f"investigating {paths[0]}{more}")
        named = [named_path(each, source, host) for each in paths]
        from rlstir_core.contract.registry import load_registry
        from rlstir_core.hostlogs.times.evidence import zones_given
        from rlstir_core.results.layout import Layout

        zone, by_host = zones_given(zones)
        given: Given = {
            "registry": load_registry(source),
            "recipe": recipe,
            "zone": zone,
            "zones": by_host,
            "progress": console.count,
        }
        found: Inquiry | Questioning
        if policy:
            from rlstir_core.investigator.inquiry.questioning import question

            found = question(named, Layout(target), policy=policy, budget=budget, **given)
        else:
            from rlstir_core.investigator.inquiry.inquire import investigate as run

            found = run(named, Layout(target), **given)
    if as_json:
        click.echo(as_text(found))
        return
    from rlstir_core.investigator.inquiry.records import Inquiry

    place = Workplace(data=target)
    if isinstance(found, Inquiry):
        lines, whole = _lines(found), command("investigate", *paths, "--json", place=place)
        following = f"{whole} > found.json" if found.sayable else command("import", "knowledge", "PATH", place=place)
    else:
        lines, following = asked_lines(found), command("investigate", *paths, place=place)
    for line in lines:
        click.echo(plain(line))
    click.echo(plain(f"next: {following}"))


def named_path(name: str, store: Path, host: str) -> Path:
    """The path that is meant, or the tarball of the episode that is."""
    from rlstir_core.episodes.store.index import named_entries
    from rlstir_core.episodes.store.lookup import find_entry
    from rlstir_core.episodes.store.writer import INDEX_NAME

    path = Path(name)
    if os.path.lexists(path) or len(path.parts) > 1:
        if host:
            raise ConfigError(f"--host {host} goes with an id of the store, not with the path {name}; leave it out")
        return path.absolute()
    if not (store / INDEX_NAME).exists():
        raise StoreError(
            f"{name} is no file or folder, and there is no store {store} that has an episode of that name; name logs"
        )
    return store / find_entry(named_entries(store), name, host, f"store {store}").path


def _lines(found: Inquiry) -> Iterator[str]:
    yield f"{found.n_rows:,} rows of {_logs(found.n_logs)}, {_span(found)}"
    yield from wrapped(f"rows: {_counts(found.rows)}; hosts: {_counts(found.hosts)}", 2)
    for sentence in found.read[:_LISTED]:
        yield from wrapped(f"warning: {sentence}", 2)
    yield from _more(len(found.read) - _LISTED, "warnings")
    yield ""
    yield from _one_log(found) if found.n_logs == 1 else _many_logs(found)
    yield ""
    yield from _tampering(found)
    yield ""
    if found.risk.p is None:
        yield "risk: not judged"
    else:
        yield from wrapped(f"risk: an attack with p {found.risk.p:.2f}, says {found.risk.why}", 0)
    if found.attack_rows:
        yield "  rows that look most like an attack:"
    for row in found.attack_rows[:_ATTACK_ROWS]:
        yield from _row_lines(found, row, f"p {row.p_attack or 0.0:.2f}")
    if found.lacks:
        yield "not judged, or not wholly:"
        for sentence in found.lacks:
            yield from wrapped(sentence, 2)


def _one_log(found: Inquiry) -> Iterator[str]:
    """The techniques of the only log: those that are named with their rows, the next ones by their ids."""
    (log,) = found.logs
    if not log.techniques:
        yield "techniques: not judged"
        return
    named = [each for each in log.techniques if each.named]
    tactics = f"; likeliest tactics: {_shares(log.tactics)}" if log.tactics else ""
    yield from wrapped(f"techniques: {_named(len({each.technique for each in named}))}{tactics}", 0)
    for each in (named or list(log.techniques[:1]))[:_TECHNIQUES]:
        yield _technique(each, f"by {each.by}" if each.named else "not named")
        for row in each.rows[:1]:
            yield from _row_lines(found, row, "")
    yield from _more(len(named) - _TECHNIQUES, "techniques")
    for by in dict.fromkeys(each.by for each in log.techniques):
        rest = [f"{each.technique} {each.score:.2f}" for each in log.techniques if each.by == by and not each.named]
        if rest:
            yield from wrapped(f"next by {by}, not sure enough to be named: {', '.join(rest[:_LISTED])}", 2)


def _many_logs(found: Inquiry) -> Iterator[str]:
    if not found.sayable:
        yield "techniques: not judged"
        return
    yield f"techniques: {_named(len(found.techniques))}, in {found.n_named:,} of {_logs(found.n_logs)}"
    for each in found.techniques[:_TECHNIQUES]:
        yield _technique(each, _logs(each.logs))
        if each.row is not None:
            yield from _row_lines(found, each.row, "")
    yield from _more(len(found.techniques) - _TECHNIQUES, "techniques")


def _technique(each: TechniqueSaid | TechniqueFound, note: str) -> str:
    name = f"{each.technique} {each.name or ', '.join(each.tactics)}"
    return f"  {each.score:4.2f}  {name[:52]:<52}  {note}".rstrip()


def _row_lines(found: Inquiry, row: RowSaid, note: str) -> Iterator[str]:
    """Where a row stands and when, the words that weigh most and its text; two lines."""
    rest = f" row {row.seq}, {row.time[:19]}" + (f", {note}" if note else "")
    yield f"        {_place(found, row.log, WIDTH - 8 - len(rest))}{rest}"
    if words := " | ".join(part for part in (", ".join(row.words), row.text) if part):
        yield f"        {short(plain(words, 300), WIDTH - 8, keep_end=False)}"


def _tampering(found: Inquiry) -> Iterator[str]:
    """The likeliest stretch of every kind."""
    flagged = f"of {found.n_judged:,} log files {found.n_flagged:,} look tampered with as a whole"
    if not found.spans:
        yield from wrapped(f"tampering: no stretch looks like it; {flagged}", 0)
        return
    looks = "1 stretch looks" if len(found.spans) == 1 else f"{len(found.spans):,} stretches look"
    yield from wrapped(f"tampering: {looks} like it; {flagged}", 0)
    kinds: dict[str, list[SpanSaid]] = {}
    for span in found.spans:
        kinds.setdefault(span.kind, []).append(span)
    for kind, spans in list(kinds.items())[:_SPANS]:
        span = spans[0]
        more = f" (and {len(spans) - 1:,} more)" if len(spans) > 1 else ""
        yield f"  {span.score:4.2f}  {kind}{more}: {short(plain(span.channel), 40)}"
        rest = f" {span.place}, {span.time[:19]}"
        yield f"        {_place(found, span.log, WIDTH - 8 - len(rest))}{rest}"
        yield from wrapped("; ".join(span.reasons[:2]), 8)[:2]
    yield from _more(len(kinds) - _SPANS, "kinds")


def _span(found: Inquiry) -> str:
    from rlstir_core.investigator.tamper.finding import clock

    if found.t_first_wall_ns is None or found.t_last_wall_ns is None:
        return "no time"
    return f"{clock(found.t_first_wall_ns)[:16]} to {clock(found.t_last_wall_ns)[:16]}"


def _counts(counts: dict[str, int]) -> str:
    said = ", ".join(f"{name} {n:,}" for name, n in list(counts.items())[:_LISTED])
    return said + (f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else "")


def _shares(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in list(shares.items())[:2])


def _named(n: int) -> str:
    return "none is sure enough to be named" if not n else "1 named" if n == 1 else f"{n:,} named"


def _place(found: Inquiry, log: str, most: int) -> str:
    """A log's name; where there is one episode alone, without that."""
    if found.n_logs == 1 and found.logs[0].recording:
        log = log.removeprefix(f"{found.logs[0].name}: ")
    return short(plain(log), most)


def _logs(n: int) -> str:
    return "1 log" if n == 1 else f"{n:,} logs"


def _more(n: int, what: str) -> Sequence[str]:
    return [f"        and {n:,} {what} more; --json has them all"] if n > 0 else []
