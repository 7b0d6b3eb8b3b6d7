"""`rlstir live replay`: an episode as it would have been watched, and an investigation of its logs.

What does not belong here: its events (`rlstir_core/live/producing`).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlstir_assets.cli.common import READ_HELP, STORE_HELP, refusing
from rlstir_assets.cli.live.common import place_of, publisher_of, recipe_of, scorer_of, tarball
from rlstir_assets.console import Console, plain

if TYPE_CHECKING:
    from rlstir_core.contract.registry import Registry
    from rlstir_core.live.contract import StepData
    from rlstir_core.live.producing.timed import Sink
    from rlstir_core.results.layout import Layout

_LOGS = "logs/"


@click.command(short_help="An episode as it would have been watched.")
@click.argument("episode")
@click.option(
    "--speed", type=click.FloatRange(0, 100_000), default=1.0, show_default=True, help="0: as fast as it goes."
)
@click.option("--data", default=None, help=READ_HELP)
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--recipe", default="", help="Whose checkpoints: host, loho, sample ... [the first that has a report]")
@click.option("--host", default="", help="The host that recorded it, where an id of the store is not enough.")
@click.option(
    "--policy", default="ppo", show_default=True, help="Who investigates its logs afterwards; `none`: nobody."
)
@refusing
def replay(
    episode: str, speed: float, data: str | None, store: str | None, recipe: str, host: str, policy: str
) -> None:
    """Replays an episode to the live view: telemetry, the true phases, and what every detector says as windows end.

    EPISODE is a tarball (.tar.zst), wherever it lies, or the id of an episode of the store. Where it holds logs, and
    somebody learnt to investigate, its queries follow as they are asked.

    Example: rlstir live replay ep-0123456789ab --speed 20
    """
    place = place_of(store, data)
    with Console() as console, publisher_of(place.data, "replay") as publisher:
        console.say(f"replaying {episode}")
        from rlstir_core.live.producing.replay import duration_s, replayed, run_of, true_phases
        from rlstir_core.live.producing.timed import play
        from rlstir_core.results.layout import Layout

        layout = Layout(place.data)
        path, claims = tarball(episode, place, host)
        scorer = scorer_of(layout, place, recipe_of(layout, place, recipe), console.state)
        spoken = scorer.speak(path, claims, console.state)
        labels = true_phases(path, claims, scorer.registry)
        meta, run, seconds = spoken.single.decoded.meta, run_of(), duration_s(spoken)
        n = play(
            replayed(spoken, scorer.schema, labels, run),
            publisher,
            speed=speed,
            tell=lambda at_s: console.count(int(at_s), int(seconds), f"seconds of {meta.episode_id}"),
        )
        has_logs = any(member.startswith(_LOGS) for member in spoken.single.decoded.members)
        asks = has_logs and policy != "none" and layout.acting(scorer.recipe).exists()
        if asks:
            console.state(f"{policy} investigates its logs")
            who = (str(meta.host_id), str(meta.episode_id), run)
            n += _asked(path, layout, publisher, scorer.registry, who, policy, scorer.recipe, speed)
    click.echo(plain(f"replayed {seconds:g} s of {meta.episode_id} on {meta.host_id}: {n:,} events"))
    if has_logs and not asks and policy != "none":
        click.echo("  its logs were not investigated: nobody has learnt to")


def _asked(
    path: Path,
    layout: Layout,
    sink: Sink,
    registry: Registry,
    who: tuple[str, str, str],
    policy: str,
    recipe: str,
    speed: float,
) -> int:
    """Investigates and publishes each step; a query takes as many seconds of the replay as it costs."""
    from rlstir_core.investigator.inquiry.questioning import question
    from rlstir_core.live.producing.asked import steps_told
    from rlstir_core.live.producing.timed import send

    n = 0

    def told(step: StepData) -> None:
        nonlocal n
        n += 1
        if speed > 0:
            time.sleep(step.cost / speed)
        send(sink, step)

    question([path], layout, policy=policy, registry=registry, recipe=recipe, heard=steps_told(*who, policy, told))
    return n
