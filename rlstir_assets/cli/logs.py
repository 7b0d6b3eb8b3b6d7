"""`rlstir templates`: a look into any text log."""

from __future__ import annotations

from pathlib import Path

import click

from rlstir_assets.cli.common import as_text, refusing
from rlstir_assets.console import Console, plain


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
        from rlstir_core.hostlogs.templates import template_file

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
