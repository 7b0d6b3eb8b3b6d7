"""`rlstir validate` and `rlstir materialize`: from tarballs to verdicts and to the report."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rlstir_assets.cli.common import STORE_HELP, fail, folder, names, next_step, refusing
from rlstir_assets.console import Console, plain
from rlstir_core.errors import ConfigError
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE, Workplace, command

if TYPE_CHECKING:
    from rlstir_assets.driver.materialize import Outcome

_NAMED = 8  # rejected tarballs, and faults of the index
_RECIPES = ("host", "loho", "sample", "time", "corpus", "random")  # a test holds it to the core's own


@click.command(short_help="A verdict, with its reason, for every tarball.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--store", default=None, help=STORE_HELP)
@click.option(
    "--out", type=click.Path(path_type=Path), default=None, help="Write the verdicts there, a line per tarball."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON lines.")
@refusing
def validate(files: tuple[Path, ...], store: str | None, out: Path | None, as_json: bool) -> None:
    """One verdict per tarball: ok, degraded or reject, with the reason.

    Of every tarball of the store; or of FILES alone, which no store needs to know: the exit code is 2 where one of
    them is rejected.

    Example: rlstir validate ep-17.tar.zst
    """
    source = folder(store, "RLSTIR_STORE", DEFAULT_STORE)
    verdicts = Counter({"ok": 0, "degraded": 0, "reject": 0})
    reasons: Counter[str] = Counter()
    lines, usable = [], []
    with Console(quiet=as_json) as console:
        console.say(f"validating {f'{len(files)} tarballs' if files else source}")
        from rlstir_core.atomic import write_text
        from rlstir_core.contract.registry import load_registry
        from rlstir_core.episodes.store.index import read_index
        from rlstir_core.episodes.validation.validate import validate_files, validate_store

        registry = load_registry(source)
        index = None if files else read_index(source)
        found = (
            validate_files(files, registry=registry)
            if index is None
            else validate_store(source, registry=registry, index=index)
        )
        for file, verdict in found:
            verdicts[verdict.verdict] += 1
            reasons.update(verdict.reasons)
            line = {"file": file, "verdict": verdict.verdict, "reason": verdict.reason, "detail": verdict.detail}
            lines.append(json.dumps(line))
            usable += [file] if verdict.usable and plain(file) == file else []
            console.state(f"{len(lines)} tarballs read")
            if files or (not verdict.usable and verdicts["reject"] <= _NAMED):
                detail = f": {verdict.detail}" if verdict.detail else ""
                console.say(f"{file}: {verdict.verdict}{f' ({verdict.reason})' if verdict.reason else ''}{detail}")
        if out is not None:
            write_text(out.absolute(), "".join(f"{line}\n" for line in lines))
    if as_json:
        click.echo("\n".join(lines))
    else:
        click.echo(", ".join(f"{n} {name}" for name, n in verdicts.items()))
        if verdicts["reject"] > _NAMED and not files:
            click.echo(f"  and {verdicts['reject'] - _NAMED} more are rejected; --out writes a line for every tarball")
        for code, n in reasons.most_common(15) if not files else ():
            click.echo(f"  {code}: {n}")
        for fault in index.faults[:_NAMED] if index is not None else ():
            click.echo(plain(f"  index {fault.detail}"))
        if out is not None:
            click.echo(plain(f"verdicts: {out}"))
        if not files:
            click.echo(next_step(source))
        elif usable:
            own = source if store is not None else Path("store").absolute()  # not among generated episodes
            click.echo(plain(f"next: {command('add', *map(_argument, usable), place=Workplace(store=own))}"))
    if files and verdicts["reject"]:
        fail(f"{verdicts['reject']} of {len(files)} tarballs would be rejected; docs/episodes.md explains every reason")


def _argument(file: str) -> str:
    """A file's name as an argument that is no option."""
    return str(Path(file).absolute()) if file.startswith("-") else file


@click.command(short_help="From tarballs to the report; what is stale is made.")
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--data", default=None, help=f"Where outputs go (RLSTIR_DATA, else {DEFAULT_DATA}).")
@click.option(
    "--recipe",
    type=click.Choice([*_RECIPES, "all"]),
    default="host",
    show_default=True,
    help="How train and test are held apart: whole hosts, each host in turn, samples, time, whole corpora, at random "
    "(no result, only what that hides), or all of these.",
)
@click.option(
    "--train-hosts",
    default="",
    envvar="RLSTIR_TRAIN_HOSTS",
    help="Recipe host: the hosts to train on, separated by commas (RLSTIR_TRAIN_HOSTS).",
)
@click.option("--test-hosts", default="", help="Recipes host and loho: the hosts to test on, separated by commas.")
@click.option("--train-corpora", default="", help="Recipe corpus: the corpora to train on, separated by commas.")
@click.option(
    "--min-shared-channels",
    type=click.IntRange(0),
    default=None,
    help="Leave out, by name, hosts that record fewer of the channels that most hosts record. [half of them; 0: none]",
)
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
@click.option(
    "--retrain",
    default="always",
    show_default=True,
    envvar="RLSTIR_RETRAIN",
    help="When models are trained anew on what came since: always, never, or due:share=0.2,days=30,drift=0.5 "
    "(RLSTIR_RETRAIN).",
)
@click.option("--select", default="", help="Dagster's asset selection, instead of all that is stale.")
@click.option("--dry-run", is_flag=True, help="Say what would be made, and why; make nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print what was made, and where the reports lie, as JSON.")
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
    min_shared_channels: int | None,
    folds: int,
    seed: int,
    overrides: tuple[str, ...],
    preset: str,
    retrain: str,
    select: str,
    dry_run: bool,
    as_json: bool,
    prune: bool,
) -> None:
    """From raw tarballs to comparison_v2.md: makes what is stale, one Dagster run per partition dimension.

    Example: rlstir materialize --store /tmp/store --data /tmp/data --recipe sample
    """
    given = click.get_current_context().get_parameter_source("train_hosts") is ParameterSource.COMMANDLINE
    _require_heeded(recipe, train_hosts if given else "", test_hosts, train_corpora)
    source, target = folder(store, "RLSTIR_STORE", DEFAULT_STORE), folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    with Console(quiet=as_json) as console:
        console.say(f"materializing {source} into {target}")
        from rlstir_assets.driver.materialize import Request
        from rlstir_assets.driver.materialize import materialize as run

        request = Request(
            store=source,
            data=target,
            recipes=_RECIPES if recipe == "all" else (recipe,),
            train_hosts=names(train_hosts),
            test_hosts=names(test_hosts),
            train_corpora=names(train_corpora),
            min_shared_channels=min_shared_channels,
            folds=folds,
            seed=seed,
            overrides=overrides,
            preset=preset,
            retrain=retrain,
            select=select,
            dry_run=dry_run,
            prune=prune,
        )
        outcome = run(request, console)
        console.state("reading the results")
        lines = [] if dry_run or as_json else _closing(source, target, outcome)
    if as_json:
        reports = {name: str(path) for name, path in outcome.reports.items()}
        made = "would_make" if dry_run else "made"
        click.echo(json.dumps({"dry_run": dry_run, made: outcome.made, "reports": reports}, indent=1))
        return
    if dry_run:
        click.echo("nothing would be made: every asset is up to date" if not outcome.made else "nothing was made")
        results = command("list", "results", place=Workplace(store=source, data=target))
        click.echo(plain(f"next: {_again(source, target, select=True) if outcome.made else results}"))
        return
    if not outcome.made:
        click.echo("nothing was new: every asset is up to date")
    for line in lines:
        click.echo(plain(line))


def _closing(source: Path, target: Path, outcome: Outcome) -> list[str]:
    """What was found, in at most 25 lines, and how to go on."""
    place = Workplace(store=source, data=target)
    if outcome.logs_alone:
        from rlstir_core.evaluation.report.log_summary import encoder_lines, log_lines, log_overview
        from rlstir_core.results.layout import Layout

        overview = log_overview(Layout(target), outcome.hosts)
        shown = Workplace(data=target)
        lines = [*log_lines(overview), *encoder_lines(Layout(target), outcome.recipes)]
        if overview.example is not None:
            episode, host = overview.example
            show = command("show", episode, "--host", host, "--out", "pictures", place=shown)
            lines.append(f"next: {show}")
        return [*lines, f"  or: {command('export', 'timesketch', '--out', 'timeline.jsonl', place=shown)}"]
    from rlstir_core.evaluation.report.summary import closing_summary

    next_step = command("ui", place=place) if outcome.reports else _again(source, target)
    return closing_summary(target, outcome.reports, next_step)


def _again(source: Path, target: Path, *, select: bool = False) -> str:
    """The command that was given, with its own options, for good; without `select` the whole of it."""
    left_out = {"store", "data", "dry_run", "as_json", *(() if select else ("select",))}
    context = click.get_current_context()
    words = [
        word
        for option in context.command.params
        if option.name not in left_out and context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        for word in _as_words(option, context.params[str(option.name)])
    ]
    return command("materialize", *words, place=Workplace(store=source, data=target))


def _as_words(option: click.Parameter, value: object) -> list[str]:
    if value is True:
        return [option.opts[0]]
    values = value if isinstance(value, tuple) else (value,)
    return [word for each in values for word in (option.opts[0], str(each))]


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
