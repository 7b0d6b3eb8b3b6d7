"""`rlstir ui`: the Dagster UI on the instance, store and data folder that the other commands use."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import click

from rlstir_assets.cli.common import STORE_HELP, folder, refusing
from rlstir_assets.console import Console
from rlstir_core.errors import ConfigError
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE

_LOOPBACK = "127.0.0.1"  # the UI runs whatever it is asked to: nobody else's machine may ask


@click.command(short_help="The Dagster UI for a store and its results.")
@click.option("--store", default=None, help=f"{STORE_HELP} Without any of them, the store that was worked on last.")
@click.option("--data", default=None, help="The data folder (RLSTIR_DATA, else the one that was worked on last).")
@click.option("--port", type=click.IntRange(1, 65535), default=3000, show_default=True, help="On 127.0.0.1.")
@refusing
def ui(store: str | None, data: str | None, port: int) -> None:
    """Opens the Dagster UI for a store and its data folder, until Ctrl-C.

    Example: rlstir ui --store /tmp/store --data /tmp/store-data --port 3001
    """
    source, target = _place(store, data)
    with Console() as console:
        console.say(f"opening the UI for {source} and {target}")
        _refuse_busy(port)
        console.state("loading Dagster")
        from rlstir_assets.executor import size_gpu_pool
        from rlstir_assets.home import home_folder
        from rlstir_assets.instance import open_instance
        from rlstir_core.episodes.store.binding import check_store
        from rlstir_core.results.layout import Layout

        check_store(source, Layout(target))
        size_gpu_pool(open_instance())
        home = home_folder()
        console.say(f"  http://{_LOOPBACK}:{port} in a moment; Ctrl-C closes it")
        console.say(f"  the report: http://{_LOOPBACK}:{port}/assets/comparison_v2")
    os.environ["RLSTIR_STORE"], os.environ["RLSTIR_DATA"] = str(source), str(target)
    os.chdir(home)  # so that `dagster dev` sees no other dagster.yaml
    # its own advice to use `dg`, which is a package of its own, is for those who have that
    quiet = ["-W", "ignore::FutureWarning"]
    served = ["dev", "-m", "rlstir_assets.definitions", "-h", _LOOPBACK, "-p", str(port)]
    os.execv(sys.executable, [sys.executable, *quiet, "-m", "dagster", *served])  # noqa: S606 - no shell in between


def _place(store: str | None, data: str | None) -> tuple[Path, Path]:
    """What the user named; what was worked on last where nothing is named; the defaults where nothing was."""
    from rlstir_assets import places

    named = (store or os.environ.get("RLSTIR_STORE"), data or os.environ.get("RLSTIR_DATA"))
    known = places.last()
    if not any(named) and known is not None:
        return known
    target = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    if not named[0]:
        return places.store_of(target) or folder(None, "RLSTIR_STORE", DEFAULT_STORE), target
    return folder(store, "RLSTIR_STORE", DEFAULT_STORE), target


def _refuse_busy(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise ConfigError(
                f"port {port} of {_LOOPBACK} cannot be used ({error.strerror}); close what uses it, or name another "
                f"with --port {port % 65535 + 1}"
            ) from None
