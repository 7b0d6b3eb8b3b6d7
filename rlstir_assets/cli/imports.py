"""`rlstir import`: data recorded by others."""

from __future__ import annotations

from pathlib import Path

import click

from rlstir_assets.cli.common import DATA_HELP, STORE_HELP, as_text, fail, folder, next_step, refusing, work_on
from rlstir_assets.console import Console, plain
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE, command


@click.group("import")
def import_group() -> None:
    """Data recorded by others, as a store."""


@import_group.command("table", short_help="CSV, Parquet or .ts tables as episodes.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--mapping", required=True, help="A TOML file, or the name of one that ships: hiper, uea.")
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--host", default=None, help="The host of every row, instead of the mapping's.")
@click.option("--corpus", default=None, help="Whose recordings these are, instead of the file's name.")
@click.option("--replace", is_flag=True, help="Episodes that the store has take the new rows instead of their own.")
@click.option("--strict", is_flag=True, help="Any loss that the summary names is an error (exit code 2).")
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


@import_group.command("logs", short_help="Host logs, found by their content, as episodes.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--store", default=None, help=STORE_HELP)
@click.option(
    "--labels", type=click.Path(path_type=Path), default=None, help="A CSV with the columns file, technique, tactic."
)
@click.option("--host", default=None, help="The host of every log, instead of the one that its events name.")
@click.option("--corpus", default=None, help="Whose logs these are, instead of the folder's or file's name.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def import_logs(
    paths: tuple[Path, ...],
    store: str | None,
    labels: Path | None,
    host: str | None,
    corpus: str | None,
    as_json: bool,
) -> None:
    """Turns host logs into episodes: EVTX, Windows event JSON, auditd, syslog, journald, found by their content.

    A path may be a file, a folder, a zip or a tar.

    Example: rlstir import logs evtx.tar.xz --labels labels.csv --store /tmp/store
    """
    target = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    with Console(quiet=as_json) as console:
        console.say(f"importing logs into {target}")
        from rlstir_core.importers.logs import import_logs as run

        made = run(
            [path.absolute() for path in paths],
            target,
            labels=None if labels is None else labels.absolute(),
            host=host,
            corpus=corpus,
            progress=lambda n, _, what: console.state(f"{n} logs read; {what}"),
        )
    if as_json:
        click.echo(as_text(made))
        return
    click.echo(f"{made.n_rows} rows of {made.n_files} logs, {made.n_episodes} episodes of {len(made.owners)} hosts")
    for kind, n in made.rows.items():
        click.echo(f"  {kind}: {n} rows, {made.unparsed.get(kind, 0)} of them could not be parsed")
    if "evtx" in made.rows:
        click.echo(f"  evtx records whose header names another id or time: {made.mismatches}")
    if labels is not None:
        click.echo(f"  labelled: {made.labelled_files} logs; labels that name no log here: {made.unused_labels}")
        unseen = ", ".join(f"{technique} ({n})" for technique, n in list(made.unseen_techniques.items())[:10])
        click.echo(f"  techniques outside the label space: {unseen or 'none'}")
    for what, list_of in (("no logs", made.not_logs), ("not read", made.faults)):
        if list_of:
            more = f" and {len(list_of) - 5} more" if len(list_of) > 5 else ""
            click.echo(plain(f"  {what}: {', '.join(list_of[:5])}{more}"))
    click.echo(next_step(target))


@import_group.command("knowledge", short_help="Public technique texts as one table.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data", default=None, help=DATA_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def import_knowledge(paths: tuple[Path, ...], data: str | None, as_json: bool) -> None:
    """Turns public technique texts (JSON lines, Atomic Red Team's YAML) into one table to learn from.

    Example: rlstir import knowledge atomics/ texts.jsonl.gz --data /tmp/data
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
    click.echo(f"{made.n_texts} texts, {made.n_without_label} of them of techniques outside the label space")
    for source, n in made.per_source.items():
        click.echo(plain(f"  {source}: {n}"))
    if made.faults:
        click.echo(plain(f"  not used: {len(made.faults)}, the first {made.faults[0]}"))
    click.echo(plain(f"table: {out}"))
    click.echo(plain(f"next: {command('materialize', place=work_on(target))}"))
