"""`rlstir lab`: episodes for people without a lab."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rlstir_assets.cli.common import STORE_HELP, as_text, folder, names, next_step, refusing
from rlstir_assets.console import Console, plain
from rlstir_core.remedies import DEFAULT_STORE, Workplace, command


@click.group()
def lab() -> None:
    """Synthetic episodes, for people without a lab."""


@lab.command("generate", short_help="Writes a store of synthetic episodes.")
@click.option("--store", default=None, help=STORE_HELP)
@click.option(
    "--hosts",
    default="",
    metavar="A,B:SYSTEM",
    help="Names, separated by commas, each perhaps with `:linux` or `:windows`; each name has a character of its own.",
)
@click.option("--episodes", type=click.IntRange(1, 100_000), default=None, help="Episodes in all.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same bytes.")
@click.option("--benign", type=float, default=None, help="Share of episodes that are benign twins. [0.36, deep 0.5]")
@click.option("--hardness", type=float, default=None, help="From 0 to 1: how much attacks look like work. [0.5]")
@click.option("--tampered", type=float, default=None, help="Share of episodes whose logs are tampered with. [0.25]")
@click.option(
    "--depth",
    default=None,
    metavar="near|deep",
    help="Where an attack's evidence lies: in the processes it starts, or hops away in one of four places. [near]",
)
@click.option("--days", type=int, default=None, help="Over how many days they were recorded. [21]")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def lab_generate(
    store: str | None,
    hosts: str,
    episodes: int | None,
    seed: int,
    benign: float | None,
    hardness: float | None,
    tampered: float | None,
    depth: str | None,
    days: int | None,
    as_json: bool,
) -> None:
    """Writes a store of synthetic episodes: telemetry, host logs and the truth about both.

    With --tampered 0 the same seed gives the honest twins of the same episodes. With --depth deep an episode has about
    twice the rows, half of them are benign, and what gives an attack away lies two or three hops from what alarms: in
    a log of its own kind, up the process tree, in a logon or at a destination. So does what explains a false alarm.

    Example: rlstir lab generate --store /tmp/store --hosts a:linux,b:windows --episodes 60 --benign 0.5 --seed 3
    """
    target = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    with Console(quiet=as_json) as console:
        console.say(f"generating synthetic episodes into {target}")
        from rlstir_core.lab.generate import DEFAULT_EPISODES, generate_store
        from rlstir_core.lab.hosts import DEFAULT_HOSTS
        from rlstir_core.lab.plan import LabOptions

        given: dict[str, Any] = {
            "benign": benign,
            "hardness": hardness,
            "tampered": tampered,
            "depth": depth,
            "days": days,
        }
        made = generate_store(
            target,
            hosts=names(hosts) or DEFAULT_HOSTS,
            episodes=episodes or DEFAULT_EPISODES,
            options=LabOptions(seed=seed, **{name: value for name, value in given.items() if value is not None}),
            progress=console.count,
        )
    if as_json:
        click.echo(as_text(made))
        return
    click.echo(f"{made.episodes} episodes, {made.infected} infected and {made.benign} benign twins")
    click.echo(f"  with tampered logs: {made.tampered}")
    for host, n in made.episodes_per_host.items():
        click.echo(f"  {host}: {n}")
    click.echo(next_step(target))


@lab.command("tamper", short_help="Tampers with logs and writes what it did.")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--operator", required=True, help="What is done to the logs: drop_rows, clear_log_event, jitter …")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder that gets logs or a store.")
@click.option("--strength", type=float, default=0.5, show_default=True, help="From 0 to 1: how much is touched.")
@click.option(
    "--headers",
    default="moved",
    show_default=True,
    help="EVTX: headers are moved with the events, left, or repaired as an export would write them.",
)
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same bytes.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def lab_tamper(source: Path, operator: str, out: Path, strength: float, headers: str, seed: int, as_json: bool) -> None:
    """Tampers with logs, generated or real, and writes the exact truth about it.

    SOURCE is a log, a folder, zip or tar of logs, or an episode. An episode becomes a further one in the store
    --out, its truth inside; a log NAME becomes NAME and NAME.gt_tamper_spans.json in the folder --out.

    Example: rlstir lab tamper audit.log --operator drop_renumber --out /tmp/tampered --seed 3
    """
    with Console(quiet=as_json) as console:
        console.say(f"tampering with {source}")
        from rlstir_core.lab.tamper.files import tamper_source

        made = tamper_source(
            source.absolute(),
            operator,
            out.absolute(),
            seed=seed,
            strength=strength,
            headers=headers,
            progress=lambda n, _, what: console.state(f"{n} files read; {what}"),
        )
    if as_json:
        click.echo(as_text(made))
        return
    click.echo(f"{operator} in {made.n_logs} logs of {made.n_rows} rows")
    click.echo(f"  rows changed: {made.n_changed}, forged: {made.n_forged}, removed: {made.n_removed}")
    click.echo(f"  spans: {len(made.spans)}")
    if made.left_out:
        click.echo(plain(f"  left as they are: {len(made.left_out)}, the first {made.left_out[0]}"))
    if made.episode:
        click.echo(plain(f"episode: {made.files[0]}"))
        click.echo(next_step(out.absolute()))
    else:
        click.echo(plain(f"logs and truth: {out}"))
        own = Workplace(store=Path(f"{out.absolute()}-store"))
        click.echo(plain(f"next: {command('import', 'logs', str(out), place=own)}"))
