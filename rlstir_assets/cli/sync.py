"""`rlstir sync`: the new episodes of another store into one's own."""

from __future__ import annotations

import click

from rlstir_assets.cli.common import STORE_HELP, as_text, fail, folder, next_step, refusing
from rlstir_assets.console import Console, plain
from rlstir_core.remedies import DEFAULT_STORE


@click.command(short_help="The new episodes of another store into one's own.")
@click.argument("source")
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--rate", default="", help="At most this much a second, such as 5MB or 500kB.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@refusing
def sync(source: str, store: str | None, rate: str, as_json: bool) -> None:
    """Copies the episodes of SOURCE that the store has not: a folder, ssh://user@host:port/path, or a URL (s3://...).

    Each tarball is checked against its hash before it has its name, and its index line follows; nothing is ever
    deleted. Stopped at any time, it goes on from there. Exit codes: 0 all there, 1 something was left for the next
    time, 2 something was refused.

    Example: rlstir sync ssh://recorder@lab-3/srv/episodes --store .rlstir/store --rate 5MB
    """
    from rlstir_core.sync.pace import read_rate
    from rlstir_core.sync.run import sync_episodes
    from rlstir_core.sync.sources import Cut, source_of

    target, opened = folder(store, "RLSTIR_STORE", DEFAULT_STORE), source_of(source, read_rate(rate))
    with Console(quiet=as_json) as console:
        console.say(f"copying new episodes of {opened.name} to {target}")
        try:
            made = sync_episodes(opened, target, progress=console.count)
        except Cut as error:
            fail(f"source {opened.name} does not answer ({error}); everything is left for the next time", 1)
            return
    if as_json:
        click.echo(as_text({**_builtins(made), "exit_code": made.exit_code}))
    else:
        for line in made.sentences():
            click.echo(plain(line))
        if made.exit_code == 0 and made.named:
            click.echo(next_step(target))
    if made.refused.n:
        fail(f"{made.refused.n} were refused, the first: {made.refused.first[0]}")
    if made.left.n:
        fail(f"{made.left.n} were left for the next time, the first: {made.left.first[0]}", 1)


def _builtins(made: object) -> dict[str, object]:
    import msgspec

    found: dict[str, object] = msgspec.to_builtins(made)
    return found
