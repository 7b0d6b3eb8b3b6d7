"""`rlstir case`: one episode, or one's own logs, as one offline page.

What does not belong here: what is on the page, and how it is found.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click

from rlstir_assets.cli.common import READ_HELP, STORE_HELP, as_text, refusing, work_between
from rlstir_assets.cli.investigate import named_path
from rlstir_assets.console import Console, plain
from rlstir_core.errors import StoreError
from rlstir_core.remedies import Workplace, command


@click.command(short_help="One page on an episode or on logs, to hand over.")
@click.argument("path", metavar="EPISODE|PATH")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The page, one file that loads nothing.")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--recipe", default="", help="Whose checkpoints: host, loho, sample ... [the first there is]")
@click.option("--policy", default="ppo", show_default=True, help="Who investigates, as `rlstir investigate --policy`.")
@click.option("--budget", type=float, default=None, help="What its queries may cost in all. [what it learnt with]")
@click.option("--host", default="", help="The host that recorded it, where an id of the store is not enough.")
@click.option("--timezone", "zones", multiple=True, metavar="[HOST=]ZONE", help="Where logs name none: theirs. [UTC]")
@click.option("--json", "as_json", is_flag=True, help="Print what was found, and where the page lies, as JSON.")
@refusing
def case(
    path: str,
    out: Path,
    data: str | None,
    store: str | None,
    recipe: str,
    policy: str,
    budget: float | None,
    host: str,
    zones: tuple[str, ...],
    as_json: bool,
) -> None:
    """One HTML file: phases, log time line, process tree, techniques with their rows, tampering, what was asked.

    EPISODE is a tarball or the id of an episode of the store, PATH a log, or a folder, zip or tar of logs. What cannot
    be said says why. Labels are shown beside the detectors where the episode has some.

    Example: rlstir case ep-0123456789ab --out case.html
    """
    target, source = work_between(data, store)
    if data is not None and not target.is_dir():
        raise StoreError(f"{target} is not a folder; name the data folder of a `rlstir materialize` with --data")
    with Console(quiet=as_json) as console:
        console.say(f"looking at {path}")
        where = named_path(path, source, host)
        from rlstir_core.atomic import write_text
        from rlstir_core.contract.registry import load_registry
        from rlstir_core.evaluation.case.gather import gather_case
        from rlstir_core.evaluation.case.page import render_case
        from rlstir_core.hostlogs.times.evidence import zones_given
        from rlstir_core.results.layout import Layout

        zone, by_host = zones_given(zones)
        found = gather_case(
            where,
            Layout(target),
            source,
            registry=load_registry(source),
            recipe=recipe,
            policy=policy,
            budget=budget,
            zone=zone,
            zones=by_host,
            progress=console.count,
        )
        text = render_case(found, [f"made by rlstir {version('rlstir')} from the data folder {target}"])
        write_text(out, text)
    if as_json:
        click.echo(as_text({"case": found, "page": str(out.absolute())}))
        return
    for what, why in (("telemetry", found.no_score), ("logs", found.no_inquiry), ("investigation", found.no_asked)):
        if why:
            click.echo(plain(f"no {what}: {why}"))
    click.echo(plain(f"page: {out.absolute()} ({len(text.encode()) / 1000:,.0f} kB)"))
    click.echo(plain(f"next: {command('investigate', str(where), '--json', place=Workplace(data=target))}"))
