"""`rlstir templates` and `rlstir export`: a look into any text log, and log rows for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from rlstir_assets.cli.common import DATA_HELP, as_text, folder, refusing
from rlstir_assets.console import Console, plain
from rlstir_core.remedies import DEFAULT_DATA


@click.command()
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
    how = "found" if made.header_found else "given"
    click.echo(plain(f"  header: {f'{how}, {made.header}' if made.header else 'none'}"))
    if made.n_cut:
        click.echo(f"  lines of which only the beginning was used: {made.n_cut}")
    click.echo(plain(f"table: {out}"))


@click.command()
@click.argument("what", type=click.Choice(["ecs", "timesketch", "navigator"]))
@click.option("--data", default=None, help=DATA_HELP)
@click.option("--host", "hosts", multiple=True, help="Only this host; may be given more than once.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The file to write.")
@refusing
def export(what: str, data: str | None, hosts: tuple[str, ...], out: Path) -> None:
    """Log rows with ECS names or as a Timesketch timeline (JSON lines), or labels as an ATT&CK Navigator layer.

    Example: rlstir export timesketch --data /tmp/data --out timeline.jsonl
    """
    source = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console() as console:
        console.say(f"exporting {what} from {source}")
        from rlstir_core.hostlogs.exports.layer import export_layer
        from rlstir_core.hostlogs.exports.rows import export_rows
        from rlstir_core.ids import host_id
        from rlstir_core.results.layout import Layout

        named = [host_id(host) for host in hosts]
        if what == "navigator":
            written = f"{len(export_layer(Layout(source), out.absolute(), hosts=named))} techniques"
        else:
            target: Literal["ecs", "timesketch"] = "ecs" if what == "ecs" else "timesketch"
            written = f"{export_rows(Layout(source), target, out.absolute(), hosts=named)} rows"
    click.echo(plain(f"{written} in {out}"))
