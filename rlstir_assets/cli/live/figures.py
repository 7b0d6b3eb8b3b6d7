"""`rlstir live metrics`, `profiles` and `perf`: figures of an evaluation, and speeds that are measured now.

What does not belong here: the figures (`rlstir_core/live/producing`).
"""

from __future__ import annotations

import click

from rlstir_assets.cli.common import READ_HELP, STORE_HELP, refusing
from rlstir_assets.cli.live.common import LivePlace, place_of, publisher_of, recipe_of, scorer_of, tarball
from rlstir_assets.console import Console, plain
from rlstir_core.errors import UpstreamMissing
from rlstir_core.remedies import how_to_make

_RECIPE_HELP = "Whose figures: host, loho, sample ... [the first that has a report]"


@click.command(short_help="Macro F1 and more of every model, with intervals.")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--recipe", default="", help=_RECIPE_HELP)
@refusing
def metrics(data: str | None, recipe: str) -> None:
    """Publishes the figures of the last report: of every model, and of the baselines, with 95 % intervals.

    Example: rlstir live metrics --recipe loho
    """
    _publish(place_of(None, data), recipe, "metrics")


@click.command(short_help="Macro F1 by profile and by host.")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--recipe", default="", help=_RECIPE_HELP)
@refusing
def profiles(data: str | None, recipe: str) -> None:
    """Publishes macro F1 of every model by profile and by host; what was not tested says so.

    Example: rlstir live profiles
    """
    _publish(place_of(None, data), recipe, "profiles")


def _publish(place: LivePlace, recipe: str, what: str) -> None:
    with publisher_of(place.data, what) as publisher:
        from rlstir_core.evaluation.detectors.detector_eval import read_inputs
        from rlstir_core.live.producing import figures
        from rlstir_core.live.producing.timed import send
        from rlstir_core.results.champion import champion_of
        from rlstir_core.results.layout import Layout

        layout = Layout(place.data)
        chosen = recipe_of(layout, place, recipe)
        inputs = read_inputs(champion_of(layout, chosen, layout.report_inputs(chosen)), chosen)
        if inputs is None:
            raise UpstreamMissing(
                f"recipe {chosen} of {place.data} was not evaluated; "
                f"make it with: {how_to_make('detector_eval', chosen)}"
            )
        every = (*inputs.models, *inputs.baselines)
        made = figures.metrics(every) if what == "metrics" else figures.profiles(every)
        n = sum(send(publisher, each) for each in made)
    click.echo(plain(f"published {n:,} figures of {len(every)} models, recipe {chosen}"))


@click.command(short_help="Windows a second and latency, measured now.")
@click.argument("episode")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--recipe", default="", help="Whose checkpoints: host, loho, sample ... [the first that has a report]")
@click.option("--host", default="", help="The host that recorded it, where an id of the store is not enough.")
@refusing
def perf(episode: str, data: str | None, store: str | None, recipe: str, host: str) -> None:
    """Measures how fast every detector is on this machine, on the windows of an episode, and publishes it.

    Example: rlstir live perf ep-0123456789ab
    """
    place = place_of(store, data)
    with Console() as console, publisher_of(place.data, "perf") as publisher:
        console.say(f"measuring on {episode}")
        from rlstir_core.detectors.single import open_single
        from rlstir_core.live.producing.speed import speeds
        from rlstir_core.live.producing.timed import send
        from rlstir_core.results.layout import Layout

        layout = Layout(place.data)
        path, claims = tarball(episode, place, host)
        scorer = scorer_of(layout, place, recipe_of(layout, place, recipe), console.state)
        single = open_single(path, claims, scorer.registry, scorer.schema)
        for each in speeds(scorer, single):
            send(publisher, each)
            console.say(
                f"  {each.model:<22} {each.windows_per_s:9,.0f} windows/s   one window {each.p50_ms:7.2f} ms, "
                f"95 % within {each.p95_ms:.2f}"
            )
