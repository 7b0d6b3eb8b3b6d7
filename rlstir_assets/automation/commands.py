"""Jobs that give a whole command, as a person would: `full`, `smoke` and `reevaluate`, and the nightly schedule.

No Dagster run can span two partition definitions, so each of these has one step, which gives the command; the runs that
the command makes stand beside it. What does not belong here: what the commands do (`cli/`).
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from rlstir_assets.automation.standing import standing, tracked_recipes
from rlstir_assets.home import home_folder
from rlstir_assets.resources import Settings
from rlstir_core.remedies import DEFAULT_DATA, DEFAULT_STORE

_RUN = [sys.executable, "-W", "ignore::FutureWarning", "-m", "rlstir_assets.cli"]
_KEPT_LINES = 25
_PATIENCE_S = 30.0  # for a command that was asked to end
_NIGHTLY = "0 3 * * *"


class Which(dg.Config):
    """Which recipes a command is given for."""

    recipes: list[str] = Field(default=[], description="Split recipes; empty: those that were made before, else host.")


@dg.op(description="`rlstir materialize` for every recipe: what is stale is made, and what changed is trained anew.")
def materialize_all(context: dg.OpExecutionContext, config: Which, settings: Settings) -> None:
    _materialize(context, _chosen(context, settings), config.recipes)


@dg.op(
    description="`rlstir materialize --retrain never` unless another policy was chosen: what was trained scores the "
    "episodes that came since."
)
def score_what_came(context: dg.OpExecutionContext, config: Which, settings: Settings) -> None:
    chosen = _chosen(context, settings)
    if chosen.retrain == "always":
        chosen = chosen.model_copy(update={"retrain": "never"})
    _materialize(context, chosen, config.recipes)


class Small(dg.Config):
    """The store that is generated."""

    episodes: int = Field(default=24, ge=12, le=1000, description="Synthetic episodes on two hosts.")
    seed: int = Field(default=7, ge=0, description="Same seed, same bytes.")


@dg.op(description="Generates a small store and makes everything of it, in a temporary folder and instance.")
def make_small(context: dg.OpExecutionContext, config: Small) -> None:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rlstir-smoke-") as folder:
        root = Path(folder)
        home = root / "home"
        home.mkdir()
        shutil.copy(home_folder() / "dagster.yaml", home)  # its hosts are no partitions of this instance
        apart = {"DAGSTER_HOME": str(home), "RLSTIR_SYNC": ""}  # nobody's episodes belong in it
        store, data = ("--store", str(root / "store")), ("--data", str(root / "data"))
        size = ("--episodes", str(config.episodes), "--seed", str(config.seed))
        _give(context, ["lab", "generate", *store, *size], apart)
        said = _give(context, ["materialize", *store, *data, "--preset", "smoke"], apart)
    context.add_output_metadata(
        {"seconds": round(time.monotonic() - begun, 1), "said": dg.MetadataValue.md(_quoted(said[-_KEPT_LINES:]))}
    )


@dg.job(
    name="full",
    executor_def=dg.in_process_executor,
    description="From tarballs to the report, as `rlstir materialize` makes it. Launchpad: `settings` says the store, "
    "the data folder and every choice; without them, what was made last is made again.",
)
def full_job() -> None:
    materialize_all()


@dg.job(
    name="reevaluate",
    executor_def=dg.in_process_executor,
    description="Scores new episodes with what was trained before; trains only where `retrain` says that it is due.",
)
def reevaluate_job() -> None:
    score_what_came()


@dg.job(
    name="smoke",
    executor_def=dg.in_process_executor,
    description="Whether this machine can do it: a small generated store, from tarballs to the report, which is then "
    "thrown away.",
)
def smoke_job() -> None:
    make_small()


COMMAND_JOBS = [full_job, reevaluate_job, smoke_job]

nightly_reevaluation = dg.ScheduleDefinition(
    name="nightly_reevaluation",
    job=reevaluate_job,
    cron_schedule=_NIGHTLY,
    description="Every night at three: reads what came, scores it with what was trained before, and writes the report. "
    "RLSTIR_RETRAIN=due:share=0.2,days=30 lets it train when enough has come.",
)


def _chosen(context: dg.OpExecutionContext, settings: Settings) -> Settings:
    """What the launchpad says, to the letter; where nobody wrote anything there, what was chosen last."""
    resources: Any = context.run.run_config.get("resources")
    said = (resources or {}).get("settings", {}).get("config")
    return settings if said else standing(settings)


def _materialize(context: dg.OpExecutionContext, settings: Settings, recipes: Sequence[str]) -> None:
    for recipe in recipes or tracked_recipes(settings.layout):
        _give(
            context,
            ["materialize", *_options(settings, recipe), "--recipe", recipe],
            {"RLSTIR_SYNC": settings.sync_source},
        )


def _options(settings: Settings, recipe: str) -> list[str]:
    """The settings as `rlstir materialize` takes them, for one recipe, which heeds some names and refuses others."""
    heeded = {"host": ("train_hosts", "test_hosts"), "loho": ("test_hosts",), "corpus": ("train_corpora",)}
    words = [] if settings.store == DEFAULT_STORE else ["--store", settings.store]
    words += [] if settings.data == DEFAULT_DATA else ["--data", settings.data]
    words += ["--preset", settings.preset, "--retrain", settings.retrain]
    words += ["--folds", str(settings.folds), "--seed", str(settings.seed)]
    words += [word for number in settings.overrides for word in ("--set", number)]
    for name in heeded.get(recipe, ()):
        if named := getattr(settings, name):
            words += [f"--{name.replace('_', '-')}", ",".join(named)]
    if settings.min_shared_channels is not None:
        words += ["--min-shared-channels", str(settings.min_shared_channels)]
    return [*words, *(["--prune"] if settings.prune else [])]


def _give(context: dg.OpExecutionContext, words: Sequence[str], more: Mapping[str, str]) -> list[str]:
    """Gives `rlstir WORDS`, tells its lines as they come and returns them; Failure with its refusal."""
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own program, and no shell in between
        [*_RUN, *words],
        env={**os.environ, **more},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as command:
        assert command.stdout is not None and command.stderr is not None
        try:
            for line in command.stdout:
                lines.append(line.rstrip())
                context.log.info(lines[-1])
            refusal = command.stderr.read().strip()
        except BaseException:  # Dagster was told to stop this
            command.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                command.wait(_PATIENCE_S)
            command.kill()
            raise
    if command.returncode:
        raise dg.Failure(description=refusal[-2000:] or f"rlstir {words[0]} ended with exit code {command.returncode}")
    return lines


def _quoted(lines: Sequence[str]) -> str:
    return "\n".join(["```", *(line.replace("```", "'''") for line in lines), "```"])
