"""`rlstir show`: one episode in pictures.

What does not belong here: drawing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlstir_assets.cli.common import READ_HELP, as_text, folder, refusing, work_on
from rlstir_assets.console import Console, plain
from rlstir_assets.places import store_of
from rlstir_core.remedies import DEFAULT_DATA, Workplace, command

if TYPE_CHECKING:
    from rlstir_core.episodes.store.index import IndexEntry


@click.command(short_help="Draws one episode: telemetry, logs, processes.")
@click.argument("episode")
@click.option("--host", default="", help="The host that recorded it, where several have an episode of this id.")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder for the pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def show(episode: str, host: str, data: str | None, out: Path, as_json: bool) -> None:
    """Draws one episode: telemetry with phases, what the chosen detector said, log timeline, process trees.

    Orange is where the truth says that a technique ran, red where it says that a log was tampered with.

    Example: rlstir show ep-0123456789ab --host elliott-thinkpad --out pictures
    """
    source = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console(quiet=as_json) as console:
        console.say(f"drawing {episode}")
        from rlstir_core.atomic import write_bytes
        from rlstir_core.episodes.store.lookup import find_entry, known_entries
        from rlstir_core.evaluation.report.pictures.episode_figures import portrait
        from rlstir_core.results.layout import Layout

        work_on(source)
        layout = Layout(source)
        entries = known_entries(layout)
        entry = find_entry(entries, episode, host, str(source))
        made = portrait(layout, entry.host_id, entry.episode_id)
        paths = {name: out.absolute() / f"{name}.png" for name in made.pictures}
        for name, path in paths.items():
            write_bytes(path, made.pictures[name])
    if as_json:
        facts = {"rows": made.rows, "phases": made.phases, "techniques": made.techniques, "tampered": made.tampered}
        facts |= {"host": entry.host_id, "predicted": made.predicted}
        click.echo(as_text(facts | {"pictures": {name: str(path) for name, path in paths.items()}}))
        return
    click.echo(plain(f"phases: {', '.join(made.phases) or 'none'}"))
    click.echo(plain(f"predictions: {made.predicted or 'none, no evaluation knows this episode'}"))
    click.echo(plain(f"log rows: {', '.join(f'{n} {name}' for name, n in made.rows.items()) or 'none'}"))
    click.echo(plain(f"techniques: {', '.join(made.techniques) or 'none'}"))
    click.echo(plain(f"tampered rows: {', '.join(f'{n} {kind}' for kind, n in made.tampered.items()) or 'none'}"))
    for path in paths.values():
        click.echo(plain(f"picture: {path}"))
    click.echo(plain(f"next: {_next(entry, source, has_logs=bool(made.rows))}"))


def _next(entry: IndexEntry, data: Path, *, has_logs: bool) -> str:
    """The log rows for another tool where there are some, else the episodes that there are."""
    here = Workplace(data=data)
    if has_logs:
        return command("export", "timesketch", "--host", entry.host_id, "--out", "timeline.jsonl", place=here)
    return command("list", "episodes", place=Workplace(store=store_of(data), data=data))
