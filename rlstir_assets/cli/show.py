"""`rlstir show`: one episode in pictures.

What does not belong here: drawing.
"""

from __future__ import annotations

from pathlib import Path

import click

from rlstir_assets.cli.common import DATA_HELP, as_text, folder, refusing
from rlstir_assets.console import Console, plain
from rlstir_core.remedies import DEFAULT_DATA


@click.command(short_help="Draws one episode: telemetry, logs, processes.")
@click.argument("episode")
@click.option("--host", required=True, help="The host that recorded it.")
@click.option("--data", default=None, help=DATA_HELP)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder for the pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def show(episode: str, host: str, data: str | None, out: Path, as_json: bool) -> None:
    """Draws one episode: telemetry with its phases, the timeline of its logs, its process trees.

    Orange is where the truth says that a technique ran, red where it says that a log was tampered with.

    Example: rlstir show ep-0123456789ab --host elliott-thinkpad --out pictures
    """
    source = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console(quiet=as_json) as console:
        console.say(f"drawing {episode} of {host}")
        from rlstir_core.atomic import write_bytes
        from rlstir_core.evaluation.report.pictures.episode_figures import portrait
        from rlstir_core.ids import episode_id, host_id
        from rlstir_core.results.layout import Layout

        made = portrait(Layout(source), host_id(host), episode_id(episode))
        paths = {name: out.absolute() / f"{name}.png" for name in made.pictures}
        for name, path in paths.items():
            write_bytes(path, made.pictures[name])
    if as_json:
        facts = {"rows": made.rows, "phases": made.phases, "techniques": made.techniques, "tampered": made.tampered}
        click.echo(as_text(facts | {"pictures": {name: str(path) for name, path in paths.items()}}))
        return
    click.echo(plain(f"phases: {', '.join(made.phases) or 'none'}"))
    click.echo(plain(f"log rows: {', '.join(f'{n} {name}' for name, n in made.rows.items()) or 'none'}"))
    click.echo(plain(f"techniques: {', '.join(made.techniques) or 'none'}"))
    click.echo(plain(f"tampered rows: {', '.join(f'{n} {kind}' for kind, n in made.tampered.items()) or 'none'}"))
    for path in paths.values():
        click.echo(plain(f"picture: {path}"))
