"""The command line. Heavy imports stay inside commands: the first line is there within a second.

What does not belong here: work; each command calls one function of the core or the driver.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import click
from click.core import ParameterSource

from rlstir_assets.console import Console, plain
from rlstir_core.errors import ConfigError, RlstirError
from rlstir_core.layout import DEFAULT_DATA, DEFAULT_STORE

P = ParamSpec("P")
_STORE_HELP = f"The store of raw episodes (RLSTIR_STORE, else {DEFAULT_STORE})."
_RECIPES = ("host", "sample", "time")
_INTERRUPTED = 130  # what shells give for SIGINT


def _refusing(command: Callable[P, None]) -> Callable[P, None]:
    """A refusal, or a disk that cannot be written, is one sentence and exit code 2; Ctrl-C is one and 130."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RlstirError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            _fail("interrupted; what was finished is kept, the same command goes on from there", _INTERRUPTED)
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output left; click ends quietly
                raise
            where = f" ({error.filename})" if error.filename else ""
            remedy = "free some space" if error.errno == errno.ENOSPC else "check the path and its permissions"
            _fail(f"{error.strerror or error}{where}; {remedy} and run the command again")

    return run


def _fail(sentence: str, code: int = 2) -> None:
    click.echo(f"rlstir: {plain(' '.join(sentence.split()))}", err=True)
    sys.exit(code)


def _folder(value: str | None, variable: str, default: str) -> Path:
    return Path(value or os.environ.get(variable) or default).absolute()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rlstir")
def cli() -> None:
    """Behavioural malware detection whose results can be believed.

    From raw episode tarballs to an evaluation report: `rlstir lab generate`, then `rlstir materialize`.
    """


@cli.group()
def lab() -> None:
    """Synthetic episodes, for people without a lab."""


@lab.command("generate")
@click.option("--store", default=None, help=_STORE_HELP)
@click.option("--hosts", default="", help="Host names, separated by commas; other names get a host of their own.")
@click.option("--episodes", type=click.IntRange(1, 100_000), default=None, help="Episodes in all.")
@click.option("--seed", type=int, default=7, show_default=True, help="Same seed, same bytes.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@_refusing
def lab_generate(store: str | None, hosts: str, episodes: int | None, seed: int, as_json: bool) -> None:
    """Writes a store of synthetic episodes.

    Example: rlstir lab generate --store /tmp/store --episodes 60 --seed 3
    """
    target = _folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    with Console(quiet=as_json) as console:
        console.say(f"generating synthetic episodes into {target}")
        from rlstir_core.lab.generate import DEFAULT_EPISODES, generate_store

        options: dict[str, Any] = {"hosts": _names(hosts)} if hosts else {}
        made = generate_store(
            target, episodes=episodes or DEFAULT_EPISODES, seed=seed, progress=console.count, **options
        )
    if as_json:
        click.echo(_json(made))
        return
    click.echo(f"{made.episodes} episodes, {made.infected} infected and {made.benign} benign twins")
    for host, n in made.episodes_per_host.items():
        click.echo(f"  {host}: {n}")
    click.echo(f"next: rlstir materialize --store {target}")


@cli.group("import")
def import_group() -> None:
    """Data recorded by others, as a store."""


@import_group.command("table")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--mapping", required=True, help="A TOML file, or the name of one that ships: hiper, uea.")
@click.option("--store", default=None, help=_STORE_HELP)
@click.option("--host", default=None, help="The host of every row, instead of the mapping's.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@_refusing
def import_table(file: Path, mapping: str, store: str | None, host: str | None, as_json: bool) -> None:
    """Turns a CSV, Parquet or .ts table into episodes.

    Example: rlstir import table runs.csv.gz --mapping hiper --store /tmp/store
    """
    target = _folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    with Console(quiet=as_json) as console:
        console.say(f"importing {file} into {target}")
        from rlstir_core.lab.tables import import_table as run

        made = run(file.absolute(), mapping, target, host, progress=console.count)
    if as_json:
        click.echo(_json(made))
        return
    click.echo(plain(f"{made.n_rows} rows, {made.n_episodes} episodes of {', '.join(made.hosts)}"))
    click.echo(plain(f"  phases: {', '.join(f'{phase} {n}' for phase, n in made.phases.items())}"))
    click.echo(plain(f"  channels: {len(made.channels)}; missing cells: {made.n_missing_cells}"))
    if made.skipped_columns:
        click.echo(plain(f"  columns left out: {', '.join(made.skipped_columns[:20])}"))
    recipe = "host" if len(made.hosts) > 1 else "sample"
    click.echo(plain(f"next: rlstir materialize --store {target} --recipe {recipe}"))


@cli.command()
@click.option("--store", default=None, help=_STORE_HELP)
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, help="Write the verdicts there, a line a tarball."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON lines.")
@_refusing
def validate(store: str | None, out: Path | None, as_json: bool) -> None:
    """One verdict a tarball: ok, degraded or reject, with the reason.

    Example: rlstir validate --store /tmp/store --out verdicts.jsonl
    """
    source = _folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    counts: dict[str, int] = {"ok": 0, "degraded": 0, "reject": 0}
    reasons: dict[str, int] = {}
    lines = []
    with Console(quiet=as_json) as console:
        console.say(f"validating {source}")
        from rlstir_core.atomic import write_text
        from rlstir_core.episodes.validate import validate_store
        from rlstir_core.registry import load_registry

        for file, verdict in validate_store(source, registry=load_registry(source)):
            counts[verdict.verdict] += 1
            for reason in verdict.reasons:
                reasons[reason] = reasons.get(reason, 0) + 1
            line = {"file": file, "verdict": verdict.verdict, "reason": verdict.reason, "detail": verdict.detail}
            lines.append(json.dumps(line))
            console.state(f"{len(lines)} tarballs read")
        if out is not None:
            write_text(out.absolute(), "".join(f"{line}\n" for line in lines))
    if as_json:
        click.echo("\n".join(lines))
        return
    click.echo(", ".join(f"{n} {name}" for name, n in counts.items()))
    for reason, n in sorted(reasons.items(), key=lambda item: -item[1])[:15]:
        click.echo(f"  {reason}: {n}")
    if out is not None:
        click.echo(f"verdicts: {out}")
    click.echo(f"next: rlstir materialize --store {source}")


@cli.command()
@click.option("--store", default=None, help=_STORE_HELP)
@click.option("--data", default=None, help=f"Where outputs go (RLSTIR_DATA, else {DEFAULT_DATA}).")
@click.option(
    "--recipe",
    type=click.Choice([*_RECIPES, "all"]),
    default="host",
    show_default=True,
    help="How train and test are held apart: by host, by sample, by time.",
)
@click.option(
    "--train-hosts",
    default="",
    envvar="RLSTIR_TRAIN_HOSTS",
    help="Recipe host: the hosts to train on, separated by commas (RLSTIR_TRAIN_HOSTS).",
)
@click.option(
    "--preset",
    default="smoke",
    show_default=True,
    envvar="RLSTIR_PRESET",
    help="smoke, rtx4060 or rtx3090x2 (RLSTIR_PRESET).",
)
@click.option("--select", default="", help="Dagster's asset selection, instead of all that is stale.")
@_refusing
def materialize(store: str | None, data: str | None, recipe: str, train_hosts: str, preset: str, select: str) -> None:
    """From raw tarballs to comparison_v2.md: makes what is stale, one Dagster run a partition dimension.

    Example: rlstir materialize --store /tmp/store --data /tmp/data --recipe sample
    """
    given = click.get_current_context().get_parameter_source("train_hosts") is ParameterSource.COMMANDLINE
    if train_hosts and given and recipe in ("sample", "time"):
        raise ConfigError(f"--train-hosts goes with recipe host, not {recipe}; leave it out or use --recipe host")
    source, target = _folder(store, "RLSTIR_STORE", DEFAULT_STORE), _folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console() as console:
        console.say(f"materializing {source} into {target}")
        from rlstir_assets.materialize import Request
        from rlstir_assets.materialize import materialize as run

        request = Request(
            store=source,
            data=target,
            recipes=_RECIPES if recipe == "all" else (recipe,),
            train_hosts=_names(train_hosts),
            preset=preset,
            select=select,
        )
        outcome = run(request, console)
        console.state("reading the report")
        from rlstir_core.evaluation.summary import closing_summary

        lines = closing_summary(target, outcome.reports)
    if not outcome.made:
        click.echo("nothing was new: every asset is up to date")
    for line in lines:
        click.echo(plain(line))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _json(value: object) -> str:
    import msgspec

    return json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=1)  # in ASCII


def main() -> None:
    """The entry point `rlstir`."""
    cli(prog_name="rlstir")


if __name__ == "__main__":
    main()
