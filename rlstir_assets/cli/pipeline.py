"""`rlstir validate` and `rlstir materialize`: from tarballs to verdicts and to the report."""

from __future__ import annotations

import json
from pathlib import Path

import click
from click.core import ParameterSource

from rlstir_assets.cli.common import STORE_HELP, folder, names, next_step, refusing
from rlstir_assets.console import Console, plain
from rlstir_assets.environment import check_choices
from rlstir_core.errors import ConfigError
from rlstir_core.results.layout import DEFAULT_DATA, DEFAULT_STORE

_RECIPES = ("host", "loho", "sample", "time", "corpus", "random")  # a test holds it to the core's own


@click.command()
@click.option("--store", default=None, help=STORE_HELP)
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, help="Write the verdicts there, a line per tarball."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON lines.")
@refusing
def validate(store: str | None, out: Path | None, as_json: bool) -> None:
    """One verdict per tarball: ok, degraded or reject, with the reason.

    Example: rlstir validate --store /tmp/store --out verdicts.jsonl
    """
    source = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    counts: dict[str, int] = {"ok": 0, "degraded": 0, "reject": 0}
    reasons: dict[str, int] = {}
    lines = []
    with Console(quiet=as_json) as console:
        console.say(f"validating {source}")
        from rlstir_core.atomic import write_text
        from rlstir_core.contract.registry import load_registry
        from rlstir_core.episodes.validation.validate import validate_store

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
    for code, n in sorted(reasons.items(), key=lambda item: -item[1])[:15]:
        click.echo(f"  {code}: {n}")
    if out is not None:
        click.echo(f"verdicts: {out}")
    click.echo(next_step(source, named=store is not None))


@click.command()
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--data", default=None, help=f"Where outputs go (RLSTIR_DATA, else {DEFAULT_DATA}).")
@click.option(
    "--recipe",
    type=click.Choice([*_RECIPES, "all"]),
    default="host",
    show_default=True,
    help="How train and test are held apart: whole hosts, each host in turn, samples, time, whole corpora.",
)
@click.option(
    "--train-hosts",
    default="",
    envvar="RLSTIR_TRAIN_HOSTS",
    help="Recipe host: the hosts to train on, separated by commas (RLSTIR_TRAIN_HOSTS).",
)
@click.option("--test-hosts", default="", help="Recipes host and loho: the hosts to test on, separated by commas.")
@click.option("--train-corpora", default="", help="Recipe corpus: the corpora to train on, separated by commas.")
@click.option("--folds", type=click.IntRange(2, 20), default=3, show_default=True, help="Members of a detector.")
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Of splits, of weights and of what is drawn.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    envvar="RLSTIR_SET",
    help="A number of the preset, like train.batch=64; repeatable (RLSTIR_SET, separated by blanks).",
)
@click.option(
    "--preset",
    default="smoke",
    show_default=True,
    envvar="RLSTIR_PRESET",
    help="smoke, rtx4060 or rtx3090x2 (RLSTIR_PRESET).",
)
@click.option("--select", default="", help="Dagster's asset selection, instead of all that is stale.")
@click.option(
    "--prune",
    is_flag=True,
    help="Take away what was made of hosts and episodes that are gone from the store, though it is more than half.",
)
@refusing
def materialize(
    store: str | None,
    data: str | None,
    recipe: str,
    train_hosts: str,
    test_hosts: str,
    train_corpora: str,
    folds: int,
    seed: int,
    overrides: tuple[str, ...],
    preset: str,
    select: str,
    prune: bool,
) -> None:
    """From raw tarballs to comparison_v2.md: makes what is stale, one Dagster run per partition dimension.

    Example: rlstir materialize --store /tmp/store --data /tmp/data --recipe sample
    """
    given = click.get_current_context().get_parameter_source("train_hosts") is ParameterSource.COMMANDLINE
    _require_heeded(recipe, train_hosts if given else "", test_hosts, train_corpora)
    check_choices(preset=preset, overrides=overrides, train_hosts=names(train_hosts))
    source, target = folder(store, "RLSTIR_STORE", DEFAULT_STORE), folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console() as console:
        console.say(f"materializing {source} into {target}")
        from rlstir_assets.materialize import Request
        from rlstir_assets.materialize import materialize as run

        request = Request(
            store=source,
            data=target,
            recipes=_RECIPES if recipe == "all" else (recipe,),
            train_hosts=names(train_hosts),
            test_hosts=names(test_hosts),
            train_corpora=names(train_corpora),
            folds=folds,
            seed=seed,
            overrides=overrides,
            preset=preset,
            select=select,
            prune=prune,
        )
        outcome = run(request, console)
        console.state("reading the report")
        from rlstir_core.evaluation.report.summary import closing_summary

        lines = closing_summary(target, outcome.reports)
    if not outcome.made:
        click.echo("nothing was new: every asset is up to date")
    for line in lines:
        click.echo(plain(line))


def _require_heeded(recipe: str, train_hosts: str, test_hosts: str, train_corpora: str) -> None:
    """ConfigError where names are given that the recipe does not heed."""
    for option, value, able in (
        ("--train-hosts", train_hosts, ("host",)),
        ("--test-hosts", test_hosts, ("host", "loho")),
        ("--train-corpora", train_corpora, ("corpus",)),
    ):
        if value and recipe not in (*able, "all"):
            raise ConfigError(
                f"{option} goes with recipe {' or '.join(able)}, not {recipe}; leave it out or use --recipe {able[0]}"
            )
