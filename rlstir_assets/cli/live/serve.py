"""`rlstir live`: opens the live view of a data folder.

What does not belong here: serving (`rlstir_core/live/serving`).
"""

from __future__ import annotations

import webbrowser

import click
from click.core import ParameterSource

from rlstir_assets.cli.common import folder, refusing
from rlstir_assets.console import plain
from rlstir_core.errors import ConfigError
from rlstir_core.remedies import DEFAULT_DATA, Workplace, command

DATA_HELP = f"The data folder whose live view it is (RLSTIR_DATA, else {DEFAULT_DATA})."


@click.group(invoke_without_command=True, short_help="The live view: an episode as it runs, in a browser.")
@click.option("--data", default=None, help=DATA_HELP)
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on. Others hear what is sent."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8718, show_default=True, help="0: any that is free.")
@click.option("--open/--no-open", "opens", default=True, help="Open a browser.")
@click.pass_context
@refusing
def live(context: click.Context, data: str | None, host: str, port: int, opens: bool) -> None:
    """Serves the live view until Ctrl-C: a page that shows phases, predictions and figures as they are published.

    What publishes: `rlstir live replay EPISODE` and the other commands below, or any program (docs/live.md).

    Example: rlstir live
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    from rlstir_core.live.serving.run import LiveAddress, serve

    target = folder(data, "RLSTIR_DATA", DEFAULT_DATA)

    def ready(address: LiveAddress) -> None:
        click.echo(plain(f"the live view of {target}; Ctrl-C closes it"))
        click.echo(plain(f"  {address.opened}"))
        click.echo(
            plain(f"next, in another shell: {command('live', 'replay', 'EPISODE', place=Workplace(data=target))}")
        )
        if opens:
            webbrowser.open(address.opened)

    try:
        serve(target / "live", host=host, port=port, ready=ready)
    except KeyboardInterrupt:  # how it is meant to end
        click.echo("closed; pages go on when it is opened again")


def _refuse_options(context: click.Context) -> None:
    """Options of the view are none of a command that publishes to it: `live --data D replay` means another folder."""
    given = [name for name in context.params if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    if given:
        said = "--no-open" if given[0] == "opens" else f"--{given[0]}"
        raise ConfigError(
            f"{said} stands before {context.invoked_subcommand}; give options of a command after its name"
        )
