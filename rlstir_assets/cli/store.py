"""`rlstir add`, `rlstir sync` and `rlstir list`: one's own tarballs or another store's, and what there is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from rlstir_assets.cli.common import (
    READ_HELP,
    STORE_HELP,
    as_text,
    fail,
    folder,
    how_to_go_on,
    next_step,
    place_of,
    refusing,
)
from rlstir_assets.console import Console, plain
from rlstir_core.errors import ConfigError
from rlstir_core.remedies import DEFAULT_STORE, Workplace, command

_NAMED = 8


@click.command(short_help="One's own episode tarballs into a store.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def add(paths: tuple[Path, ...], store: str | None, as_json: bool) -> None:
    """Puts episode tarballs (files, or folders of them) into a store, which may be new.

    Each is read first: one that would be rejected, or that stands against another of its name, is named and left out,
    and the exit code is 2.

    Example: rlstir add recordings/ --store /tmp/store
    """
    target = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    with Console(quiet=as_json) as console:
        console.say(f"adding to {target}")
        from rlstir_core.contract.registry import load_registry
        from rlstir_core.episodes.store.adding import add_episodes

        found = [path.absolute() for path in paths]
        made = add_episodes(found, target, registry=load_registry(target), progress=console.count)
    if as_json:
        click.echo(as_text(made))
    else:
        click.echo(f"{len(made.added)} episodes added, {len(made.there_already)} were there already")
        _name(made.added)
        _name(f"{name} is degraded: {why}" for name, why in made.degraded.items())
        _name(f"not added: {each.file}: {each.why}" for each in made.refused)
        if made.added or made.there_already:
            click.echo(next_step(target))
    if made.refused:
        n, of = len(made.refused), len(made.refused) + len(made.added) + len(made.there_already)
        fail(f"{n} of {of} tarballs were not added, the first {made.refused[0].file}: {made.refused[0].why}")


@click.command(short_help="The new episodes of another store into one's own.")
@click.argument("source")
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--rate", default="", help="At most this much a second, such as 5MB or 500kB.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def sync(source: str, store: str | None, rate: str, as_json: bool) -> None:
    """Copies the episodes of SOURCE that the store has not: a folder, ssh://user@host:port/path, or a URL (s3://...).

    Each tarball is checked against its hash before it has its name, and its index line follows; nothing is ever
    deleted. Stopped at any time, it goes on from there. Exit codes: 0 all there, 1 something was left for the next
    time, 2 something was refused.

    Example: rlstir sync ssh://recorder@lab-3/srv/episodes --store .rlstir/store --rate 5MB
    """
    from rlstir_core.sync.pace import read_rate
    from rlstir_core.sync.run import sync_episodes
    from rlstir_core.sync.sources import LinkCut, source_of

    target, opened = folder(store, "RLSTIR_STORE", DEFAULT_STORE), source_of(source, read_rate(rate))
    with Console(quiet=as_json) as console:
        console.say(f"copying new episodes of {opened.name} to {target}")
        try:
            made = sync_episodes(opened, target, progress=console.count)
        except LinkCut as error:
            fail(f"source {opened.name} does not answer ({error}); everything is left for the next time", 1)
            return
    if as_json:
        click.echo(as_text(made))
    else:
        for line in made.sentences():
            click.echo(plain(line))
        if made.exit_code == 0 and made.named:
            click.echo(next_step(target))
    if made.refused.n:
        fail(f"{made.refused.n} were refused, the first: {made.refused.first[0]}")
    if made.left.n:
        fail(f"{made.left.n} were left for the next time, the first: {made.left.first[0]}", 1)


@click.command("list", short_help="Hosts, episodes and results that there are.")
@click.argument("what", type=click.Choice(["hosts", "episodes", "results"]), default="hosts")
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--data", default=None, help=READ_HELP)
@click.option("--host", default="", help="Of `episodes`: those of this host only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@refusing
def list_(what: str, store: str | None, data: str | None, host: str, as_json: bool) -> None:
    """What a store and its data folder hold: hosts, episodes with their verdicts, or results.

    Example: rlstir list episodes --host elliott-thinkpad --json
    """
    if host and what != "episodes":
        raise ConfigError(f"--host goes with `episodes`, not with `{what}`; leave it out")
    source = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    target = folder(data, "RLSTIR_DATA", str(place_of(source).data))
    from rlstir_core.results.layout import Layout

    layout = Layout(target)
    if what == "results":
        from rlstir_core.evaluation.report.listing import list_results

        if data is not None and not target.is_dir():
            raise ConfigError(
                f"--data {target} is not there; name a data folder, or make one with: {how_to_go_on(source)}"
            )
        n = _print(list_results(layout), as_json, _result)
        if not n and not as_json:
            click.echo(plain(f"no results in {target}"))
        following = command("ui", place=Workplace(store=source, data=target)) if n else how_to_go_on(source)
    else:
        from rlstir_core.episodes.store.index import read_index
        from rlstir_core.evaluation.report.listing import list_episodes, list_hosts

        index = read_index(source)
        if host and host not in index.hosts:
            raise ConfigError(f"host {host!r} is not in {source}; its hosts are {', '.join(index.hosts) or '(none)'}")
        if what == "hosts":
            _print(list_hosts(index, layout), as_json, _host)
        else:
            _print(list_episodes(index, layout, host), as_json, _episode)
        if not as_json:
            for fault in index.faults[:_NAMED]:
                click.echo(plain(f"index {fault.detail}"))
        following = command("list", "results", place=Workplace(store=source, data=target))
        following = following if target.is_dir() else how_to_go_on(source)
    if not as_json:
        click.echo(plain(f"next: {following}"))


def _print(found: Iterable[Any], as_json: bool, line: Any) -> int:
    import msgspec

    n = 0
    for each in found:
        n += 1
        if as_json:
            click.echo(msgspec.json.encode(each).decode())
        else:
            for text in line(each).splitlines():
                click.echo(plain(text))
    return n


def _host(each: Any) -> str:
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in each.verdicts.items())
    return f"{each.host:<32} {each.episodes:>7} episodes {each.n_bytes / 2**20:>9.1f} MiB  {verdicts}"


def _episode(each: Any) -> str:
    reason = f" ({each.reason})" if each.reason else ""
    return f"{each.host:<24} {each.episode:<24} {each.profile or '-':<16} {each.verdict}{reason}"


def _result(each: Any) -> str:
    from rlstir_core.evaluation.report.markdown import figure

    encoder = f"\n         {each.encoder}" if each.encoder else ""
    if not each.report:
        return f"{each.recipe:<8} logs alone{encoder}\n         {each.encoder_figures}"
    best = f"{each.chosen} by {each.chosen_by}, macro F1 {figure(each.macro_f1)}" if each.chosen else "no model scored"
    void = ", void" if each.void else ""
    return f"{each.recipe:<8} {best} on {each.episodes_tested} episodes{void}{encoder}\n         {each.report}"


def _name(lines: Iterable[str]) -> None:
    said = list(lines)
    for line in said[:_NAMED]:
        click.echo(plain(f"  {line}"))
    if len(said) > _NAMED:
        click.echo(f"  and {len(said) - _NAMED} more")
