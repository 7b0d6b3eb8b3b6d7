"""The command line. Heavy imports stay inside commands: the first line is there within a second.

What does not belong here: work; each command calls one function of the core or the driver.
"""

from __future__ import annotations

import click

from rlstir_assets.cli.audit import audit
from rlstir_assets.cli.episode.case import case
from rlstir_assets.cli.episode.score import score
from rlstir_assets.cli.episode.show import show
from rlstir_assets.cli.imports import import_group
from rlstir_assets.cli.investigate import investigate
from rlstir_assets.cli.judge import judge
from rlstir_assets.cli.lab import lab
from rlstir_assets.cli.live import live
from rlstir_assets.cli.logs import export, templates
from rlstir_assets.cli.pipeline import materialize, validate
from rlstir_assets.cli.store import add, list_, sync
from rlstir_assets.cli.ui import ui


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rlstir")
def cli() -> None:
    """Behavioural malware detection whose results can be believed.

    From raw episode tarballs to an evaluation report: `rlstir lab generate`, then `rlstir materialize`.
    """


_COMMANDS = (
    *(lab, add, sync, import_group, validate, materialize, list_, show),
    *(score, investigate, case, judge, audit, live, export, ui, templates),
)
for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """The entry point `rlstir`."""
    cli(prog_name="rlstir")


if __name__ == "__main__":
    main()
