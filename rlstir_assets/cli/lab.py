"""`rlstir lab`: episodes for people without a lab."""

from __future__ import annotations

from typing import Any

import click

from rlstir_assets.cli.common import STORE_HELP, as_text, folder, names, refusing
from rlstir_assets.console import Console
from rlstir_core.layout import DEFAULT_STORE


@click.group()
def lab() -> None:
    """Synthetic episodes, for people without a lab."""


@lab.command("generate")
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--hosts", default="", help="Host names, separated by commas; other names get a host of their own.")
@click.option("--episodes", type=click.IntRange(1, 100_000), default=None, help="Episodes in all.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same bytes.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def lab_generate(store: str | None, hosts: str, episodes: int | None, seed: int, as_json: bool) -> None:
    """Writes a store of synthetic episodes.

    Example: rlstir lab generate --store /tmp/store --episodes 60 --seed 3
    """
    target = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    with Console(quiet=as_json) as console:
        console.say(f"generating synthetic episodes into {target}")
        from rlstir_core.lab.generate import DEFAULT_EPISODES, generate_store

        options: dict[str, Any] = {"hosts": names(hosts)} if hosts else {}
        made = generate_store(
            target, episodes=episodes or DEFAULT_EPISODES, seed=seed, progress=console.count, **options
        )
    if as_json:
        click.echo(as_text(made))
        return
    click.echo(f"{made.episodes} episodes, {made.infected} infected and {made.benign} benign twins")
    for host, n in made.episodes_per_host.items():
        click.echo(f"  {host}: {n}")
    click.echo(f"next: rlstir materialize --store {target}")
