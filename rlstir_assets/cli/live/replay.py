"""`rlstir live replay`: an episode as it would have been watched.

What does not belong here: its events (`rlstir_core/live/producing`).
"""

from __future__ import annotations

import os

import click

from rlstir_assets.cli.common import READ_HELP, STORE_HELP, folder, refusing
from rlstir_assets.cli.live.common import publisher_of
from rlstir_assets.cli.score import tarball_of
from rlstir_assets.console import Console, plain
from rlstir_assets.places import store_of
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE, work_at


@click.command(short_help="An episode as it would have been watched.")
@click.argument("episode")
@click.option(
    "--speed", type=click.FloatRange(0, 100_000), default=1.0, show_default=True, help="0: as fast as it goes."
)
@click.option("--data", default=None, help=READ_HELP)
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--recipe", default="", help="Whose checkpoints: host, loho, sample ... [the first that has a report]")
@click.option("--host", default="", help="The host that recorded it, where an id of the store is not enough.")
@refusing
def replay(episode: str, speed: float, data: str | None, store: str | None, recipe: str, host: str) -> None:
    """Replays an episode to the live view: telemetry, the true phases, and what every detector says as windows end.

    EPISODE is a tarball (.tar.zst), wherever it lies, or the id of an episode of the store.

    Example: rlstir live replay ep-0123456789ab --speed 20
    """
    target = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    known = None if store or os.environ.get("RLSTIR_STORE") else store_of(target)
    source = known or folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    work_at(source, target)
    with Console() as console, publisher_of(target, "replay") as publisher:
        console.say(f"replaying {episode}")
        from rlstir_core.evaluation.detectors.scoring import Scorer, default_recipe
        from rlstir_core.live.producing.replay import replayed, true_phases
        from rlstir_core.live.producing.timed import play
        from rlstir_core.results.champion import champion_of
        from rlstir_core.results.layout import Layout

        layout = Layout(target)
        path, claims = tarball_of(episode, source, host)
        chosen = recipe or default_recipe(layout, source)
        scorer = Scorer(champion_of(layout, chosen, layout.report_inputs(chosen)), source, chosen, console.state)
        spoken = scorer.speak(path, claims, console.state)
        labels = true_phases(path, claims, scorer.registry)
        events = replayed(spoken, scorer.schema, labels)
        meta = spoken.single.decoded.meta
        duration_s = (meta.t_end_wall_ns - meta.t_start_wall_ns) / 1e9
        n = play(
            events,
            publisher,
            speed=speed,
            tell=lambda at_s: console.count(round(at_s), round(duration_s), f"second of {meta.episode_id}"),
        )
    click.echo(plain(f"replayed {duration_s:g} s of {meta.episode_id} on {meta.host_id}: {n:,} events"))
