"""`rlstir import`: data recorded by others."""

from __future__ import annotations

from pathlib import Path

import click

from rlstir_assets.cli.common import (
    DATA_HELP,
    STORE_HELP,
    STRICT_HELP,
    as_text,
    fail,
    folder,
    next_step,
    refusing,
    work_on,
)
from rlstir_assets.cli.import_logs import import_logs
from rlstir_assets.console import Console, plain
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE, command


@click.group("import")
def import_group() -> None:
    """Data recorded by others, as a store."""


import_group.add_command(import_logs)


@import_group.command("table", short_help="CSV, Parquet or .ts tables as episodes.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--mapping", required=True, help="A TOML file, or the name of one that ships: hiper, uea.")
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--host", default=None, help="The host of every row, instead of the mapping's.")
@click.option("--corpus", default=None, help="Whose recordings these are, instead of the file's name.")
@click.option("--replace", is_flag=True, help="Episodes that the store has take the new rows instead of their own.")
@click.option("--strict", is_flag=True, help=STRICT_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def import_table(
    files: tuple[Path, ...],
    mapping: str,
    store: str | None,
    host: str | None,
    corpus: str | None,
    replace: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Turns CSV, Parquet or .ts tables into episodes. A run that is in several files becomes one episode.

    Example: rlstir import table runs.csv.gz --mapping hiper --store /tmp/store
    """
    target = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    paths = [file.absolute() for file in files]
    with Console(quiet=as_json) as console:
        console.say(f"importing {paths[0] if len(paths) == 1 else f'{len(paths)} files'} into {target}")
        from rlstir_core.importers.table.summary import lines
        from rlstir_core.importers.tables import import_table as run

        made = run(paths, mapping, target, host, progress=console.count, corpus=corpus, replace=replace)
    if as_json:
        click.echo(as_text(made))
    else:
        for line in lines(made):
            click.echo(plain(line))
        click.echo(next_step(target))
    if strict and made.losses:
        fail(f"{len(made.losses)} losses with --strict, the first: {made.losses[0]}")


@import_group.command("knowledge", short_help="Public technique texts as one table.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data", default=None, help=DATA_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def import_knowledge(paths: tuple[Path, ...], data: str | None, as_json: bool) -> None:
    """Turns public technique texts into one table to learn from.

    PATHS are JSON lines, or clones of Atomic Red Team, ATT&CK (STIX), Splunk security_content, CAR, stockpile or
    sysmon-modular; each file is read by what it holds.

    Example: rlstir import knowledge atomic-red-team/atomics enterprise-attack.json --data /tmp/data
    """
    target = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console(quiet=as_json) as console:
        console.say(f"importing technique texts into {target}")
        from rlstir_core.importers.knowledge import import_knowledge as run
        from rlstir_core.results.layout import Layout

        out = Layout(target).knowledge
        made = run([path.absolute() for path in paths], out)
    if as_json:
        click.echo(as_text(made))
        return
    click.echo(
        f"{made.n_texts} texts of {made.n_techniques} techniques, {made.n_without_label} of them of techniques outside "
        "the label space"
    )
    for source, n in made.per_source.items():
        click.echo(plain(f"  {source}: {n}"))
    if made.faults:
        click.echo(plain(f"  not used: {len(made.faults)}, the first {made.faults[0]}"))
    click.echo(plain(f"table: {out}"))
    click.echo(plain(f"next: {command('materialize', place=work_on(target))}"))


@import_group.command("sigma", short_help="Sigma rules, to stand beside the encoder.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data", default=None, help=DATA_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def import_sigma(paths: tuple[Path, ...], data: str | None, as_json: bool) -> None:
    """Keeps Sigma rules, whose tags say which techniques they detect, for the next evaluation of an encoder.

    PATHS are YAML files or folders of them. The rules of an import before are replaced. They are matched where pySigma
    is installed, which is the extra `sigma`.

    Example: rlstir import sigma sigma/rules/windows --data /tmp/data
    """
    target = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console(quiet=as_json) as console:
        console.say(f"importing Sigma rules into {target}")
        from rlstir_core.hostlogs.sigma.rules import NO_PYSIGMA, pysigma_version
        from rlstir_core.importers.sigma import import_sigma as run
        from rlstir_core.results.layout import Layout

        out = Layout(target).sigma
        made = run([path.absolute() for path in paths], out)
    if as_json:
        click.echo(as_text(made))
        return
    click.echo(f"{made.n_rules} rules, {made.n_with_technique} of them name a technique")
    if made.n_twice:
        click.echo(f"  there twice: {made.n_twice}")
    if made.faults:
        click.echo(plain(f"  not used: {len(made.faults)}, the first {made.faults[0]}"))
    if not pysigma_version():
        click.echo(plain(f"  not there: {NO_PYSIGMA}"))
    click.echo(plain(f"rules: {out}"))
    click.echo(plain(f"next: {command('materialize', place=work_on(target))}"))
