"""`rlstir templates` and `rlstir export`: a look into any text log, and log rows for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from rlstir_assets.cli.common import READ_HELP, as_text, folder, refusing, work_on
from rlstir_assets.console import Console, plain
from rlstir_core.errors import ConfigError
from rlstir_core.remedies import DEFAULT_DATA, Workplace, command


@click.command(short_help="The templates of any text log, as a table.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--header", default=None, help="What precedes the message: a regular expression, or <Date> <Time> <Content>."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="LineId,EventId,EventTemplate go there.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def templates(file: Path, header: str | None, out: Path, as_json: bool) -> None:
    """Finds the templates of a text log: what its lines have in common, with <*> for what varies.

    Without --header the header (time, host, level, component) is found by its form.

    Example: rlstir templates /var/log/messages --out templates.csv
    """
    with Console(quiet=as_json) as console:
        console.say(f"reading {file}")
        from rlstir_core.hostlogs.templates.mined import template_file

        made = template_file(file.absolute(), out.absolute(), header)
    if as_json:
        click.echo(as_text(made))
        return
    click.echo(f"{made.n_lines} lines, {made.n_templates} templates")
    if made.header:
        how = "by its form" if made.header_found else "as it was given"
        click.echo(plain(f"  header, taken off {how}: {made.header_example or 'nothing'}"))
    else:
        click.echo("  header: none")
    if made.n_cut:
        click.echo(f"  lines of which only the beginning was used: {made.n_cut}")
    for text, n in made.most:
        click.echo(plain(f"  {n:>7,} {text}"))
    click.echo(plain(f"table: {out}"))
    own = Workplace(store=Path(f"{file.stem}-store").absolute())
    click.echo(plain(f"next: {command('import', 'logs', str(file), place=own)}"))


@click.command(short_help="Log rows and labels for other tools.")
@click.argument("what", type=click.Choice(["ecs", "timesketch", "navigator"]))
@click.option("--data", default=None, help=READ_HELP)
@click.option("--host", "hosts", multiple=True, help="Only this host; may be given more than once.")
@click.option(
    "--found",
    type=click.Path(path_type=Path),
    default=None,
    help="Paint what was found: the JSON of `rlstir investigate`, or a techniques.parquet of predictions.",
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@refusing
def export(what: str, data: str | None, hosts: tuple[str, ...], found: Path | None, out: Path, as_json: bool) -> None:
    """Log rows with ECS names or as a Timesketch timeline (JSON lines), or an ATT&CK Navigator layer.

    A layer shows the labels of a data folder, or with --found the techniques that were found, with their scores.

    Example: rlstir export timesketch --data /tmp/data --out timeline.jsonl
    """
    if found is not None:
        _export_found(what, data, hosts, found, out, as_json)
        return
    source = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console(quiet=as_json) as console:
        console.say(f"exporting {what} from {source}")
        from rlstir_core.hostlogs.exports.layer import export_layer
        from rlstir_core.hostlogs.exports.rows import export_rows
        from rlstir_core.ids import host_id
        from rlstir_core.results.layout import Layout

        place = work_on(source)
        named = [host_id(host) for host in hosts]
        if what == "navigator":
            n, unit = len(export_layer(Layout(source), out.absolute(), hosts=named)), "techniques"
        else:
            target: Literal["ecs", "timesketch"] = "ecs" if what == "ecs" else "timesketch"
            n, unit = export_rows(Layout(source), target, out.absolute(), hosts=named), "rows"
    if as_json:
        click.echo(as_text({"what": what, "file": str(out), unit: n}))
        return
    click.echo(plain(f"{n:,} {unit} in {out}"))
    click.echo(plain(f"next: {_OPENS[what]}; {command('list', 'episodes', place=place)}"))


def _export_found(what: str, data: str | None, hosts: tuple[str, ...], found: Path, out: Path, as_json: bool) -> None:
    other = ["--data"] * (data is not None) + ["--host"] * bool(hosts)
    if what != "navigator" or other:
        raise ConfigError(f"--found goes with navigator alone, not with {other[0] if other else what}; leave one out")
    with Console(quiet=as_json) as console:
        console.say(f"exporting {what} from {found}")
        from rlstir_core.hostlogs.exports.found_layer import export_found

        n = export_found(found.absolute(), out.absolute())
    if as_json:
        click.echo(as_text({"what": what, "file": str(out), "techniques": n}))
        return
    click.echo(plain(f"{n:,} techniques in {out}"))
    click.echo(f"next: {_OPENS[what]}")


_OPENS = {
    "ecs": "load it into Elasticsearch with _bulk or Filebeat",
    "timesketch": "load it into a Timesketch sketch with timesketch_importer",
    "navigator": "open it as a layer in the ATT&CK Navigator",
}
