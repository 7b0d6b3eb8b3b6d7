"""The sensor asks for the runs that `rlstir materialize` would make; jobs give whole commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rlstir_assets import places
from rlstir_assets.automation import commands
from rlstir_assets.automation import tick as ticking
from rlstir_assets.automation.jobs import HOST_ASSETS, STAGE_JOBS, job_of
from rlstir_assets.automation.standing import standing, tracked_recipes
from rlstir_assets.automation.tick import ASKED_BY, WORK_TAG, Tick, tick
from rlstir_assets.cli.pipeline import materialize as materialize_command
from rlstir_assets.definitions import defs
from rlstir_assets.partitions import register_hosts
from rlstir_assets.resources import Settings
from rlstir_core.episodes.store.binding import refresh_index
from rlstir_core.errors import StoreError
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding
from rlstir_core.staleness import HOST_STAGES

HOST = "k-gamingcom"


@pytest.fixture
def settings(own_driven: Any, few_passes: tuple[str, ...]) -> Settings:
    refresh_index(own_driven.store, own_driven.layout)  # a copy of the store has another stamp
    return Settings(store=str(own_driven.store), data=str(own_driven.data), overrides=list(few_passes))


@pytest.fixture
def instance() -> dg.DagsterInstance:
    """One that knows the hosts, as that of the driven run does."""
    made = dg.DagsterInstance.ephemeral()
    register_hosts(made, ("elliott-thinkpad", HOST), ())
    return made


def new_line(store: Path, host: str, name: str) -> None:
    """An index line of an episode whose tarball lies there, empty."""
    path = f"episodes/{host}/{name}.tar.zst"
    (store / path).parent.mkdir(exist_ok=True)
    (store / path).touch()
    line = {"episode_id": name, "host_id": host, "path": path, "bytes": 0, "sha256": "0" * 64}
    with (store / "index.jsonl").open("a") as index:
        index.write(json.dumps(line) + "\n")


def asked(found: Tick) -> list[tuple[str | None, list[str], str | None]]:
    """(job, assets, partition) of every run that is asked for."""
    return [
        (
            each.job_name,
            [key.to_user_string() for key in each.asset_selection or ()],
            each.tags.get("dagster/partition"),
        )
        for each in found.requests
    ]


@pytest.mark.slow
def test_a_tick_asks_for_a_stage_at_a_time_and_for_nothing_where_all_is_made(
    settings: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = tracked_recipes(settings.layout)
    assert recipes == ("host",)
    first = tick(instance, settings, recipes, None)
    assert not first.requests and first.why == "no new episodes"
    with monkeypatch.context() as patched:  # an unchanged store is not read again
        patched.setattr(ticking, "read_index", None)
        again = tick(instance, settings, recipes, first.cursor)
        assert (again.requests, again.why) == ((), "no new episodes")
        new_line(settings.store_path, HOST, "new-1")
        changed = tick(instance, settings, recipes, again.cursor)  # and one that has changed is the run's to read
        assert asked(changed) == [("index", ["episode_index"], None)]
        refresh_index(settings.store_path, settings.layout)
        hosts = tick(instance, settings, recipes, changed.cursor)
        assert asked(hosts) == [("hosts", list(HOST_ASSETS), HOST)]
    new_line(settings.store_path, "z-new", "new-2")
    refresh_index(settings.store_path, settings.layout)
    unknown = tick(instance, settings, recipes, hosts.cursor)  # the run of the index makes the host a partition
    assert asked(unknown) == [("index", ["episode_index"], None)]
    register_hosts(instance, ["z-new"], ())
    both = tick(instance, settings, recipes, hosts.cursor)
    (request,) = both.requests
    ends = [request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")]
    assert ends == [HOST, "z-new"]
    config = request.run_config["resources"]["settings"]["config"]
    assert Settings(**config) == settings and request.tags[WORK_TAG] and ASKED_BY.items() <= request.tags.items()


@pytest.mark.slow
def test_a_tick_waits_for_runs_and_commands_and_gives_up_what_was_tried_in_vain(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    settings.layout.report("host").unlink()
    (request,) = tick(instance, settings, ("host",), None).requests
    assert request.job_name == "recipe" and request.tags["dagster/partition"] == "host"
    run = instance.create_run_for_job(
        defs.resolve_job_def("recipe"),
        asset_selection=frozenset(request.asset_selection or ()),
        tags=dict(request.tags),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert tick(instance, settings, ("host",), None).why == "1 run has not ended yet"
    instance.report_run_failed(run)
    (other,) = tick(instance, settings, ("host",), None).requests
    assert other.run_key != request.run_key and other.tags[WORK_TAG] == request.tags[WORK_TAG]
    for _ in range(2):
        failed = instance.create_run_for_job(defs.resolve_job_def("recipe"), tags=dict(request.tags))
        instance.report_run_failed(failed)
    vain = tick(instance, settings, ("host",), None)
    assert not vain.requests and vain.why == "recipe host was run 3 times and is not up to date: see its runs"
    assert tick(instance, settings, ("host",), vain.cursor).why == vain.why
    with holding(settings.layout.lock("materialization")):
        busy = tick(instance, settings, ("host",), vain.cursor)
    assert busy.why == "`rlstir materialize` is at work on this data folder" and busy.cursor == vain.cursor


@pytest.mark.slow
def test_a_recipe_that_cannot_be_applied_is_said_and_a_store_that_is_not_there_is_refused(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    none = tick(instance, settings, ("corpus",), None)
    assert not none.requests and "recipe 'corpus' holds out whole corpora" in none.why
    gone = Settings(**{**settings.as_config(), "store": str(settings.store_path.with_name("gone"))})
    with pytest.raises(StoreError, match="cannot be looked at"):
        tick(instance, gone, ("host",), none.cursor)
    context = dg.build_sensor_context(instance=instance, resources={"settings": gone}, definitions=defs)
    sensor = defs.resolve_sensor_def("new_episodes")
    with pytest.raises(dg.Failure, match="cannot be looked at"):
        sensor.evaluate_tick(context)


def test_every_job_has_a_description_and_the_stages_are_those_of_the_driver() -> None:
    assert HOST_ASSETS == HOST_STAGES
    names = [job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]
    assert sorted(names) == sorted(["full", "smoke", "reevaluate", "tidy", *(str(job.name) for job in STAGE_JOBS)])
    assert all(defs.resolve_job_def(name).description for name in names)
    assert [job_of([asset]) for asset in ("episode_index", "log_events", "lab_checks", "comparison_v2")] == [
        "index",
        "hosts",
        "lab",
        "recipe",
    ]
    schedule = defs.resolve_schedule_def("nightly_reevaluation")
    assert schedule.job_name == "reevaluate" and schedule.cron_schedule == "0 3 * * *"


def test_what_was_chosen_last_stands_unless_the_environment_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.delenv("RLSTIR_SET", raising=False)
    plain = Settings(store=str(tmp_path / "s"), data=str(tmp_path / "d"))
    assert standing(plain) == plain
    chosen = plain.model_copy(update={"preset": "rtx4060", "seed": 5, "retrain": "due", "test_hosts": ["b"]})
    places.remember(tmp_path / "s", tmp_path / "d", chosen.choices())
    assert standing(plain) == chosen
    reached_otherwise = plain.model_copy(update={"data": str(tmp_path / "s" / ".." / "d")})
    assert standing(reached_otherwise).overrides == chosen.overrides and standing(reached_otherwise).seed == 5
    monkeypatch.setenv("RLSTIR_PRESET", "smoke")
    assert standing(plain) == chosen.model_copy(update={"preset": "smoke"})
    assert tracked_recipes(Layout(tmp_path / "d")) == ("host",)


@pytest.mark.parametrize("recipe", ["host", "loho", "corpus", "time"])
def test_a_job_gives_its_settings_as_the_command_takes_them(recipe: str) -> None:
    given = Settings(
        store="s t",
        data="d",
        preset="rtx4060",
        overrides=["train.batch=8", "seeds=2"],
        train_hosts=["a", "b"],
        test_hosts=["c"],
        train_corpora=["x"],
        min_shared_channels=3,
        folds=4,
        seed=9,
        retrain="due:days=7",
        prune=True,
    )
    context = materialize_command.make_context("materialize", [*commands._options(given, recipe), "--recipe", recipe])
    read = {name: context.params[name] for name in ("store", "data", "preset", "folds", "seed", "retrain", "prune")}
    assert read == {name: getattr(given, name) for name in read}
    assert list(context.params["overrides"]) == given.overrides and context.params["min_shared_channels"] == 3
    heeded = {"host": ("a,b", "c", ""), "loho": ("", "c", ""), "corpus": ("", "", "x")}.get(recipe, ("", "", ""))
    assert tuple(context.params[name] for name in ("train_hosts", "test_hosts", "train_corpora")) == heeded


SAYS = "import sys; print('one'); print(sys.argv[1:]); sys.exit(sys.argv[-1] == 'corpus' and 'rlstir: no corpora')"


def test_a_job_tells_what_its_command_says_and_fails_with_its_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_RUN", [sys.executable, "-c", SAYS])
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    resources = {"settings": Settings(data=str(tmp_path / "d"))}

    def ran(job: dg.JobDefinition, op: str, recipes: list[str], **settings: str) -> Any:
        config: dict[str, Any] = {"ops": {op: {"config": {"recipes": recipes}}}}
        if settings:
            config["resources"] = {"settings": {"config": settings}}
        with dg.DagsterInstance.ephemeral() as instance:
            done = job.execute_in_process(config, resources=resources, raise_on_error=False, instance=instance)
            said = [entry.user_message for entry in instance.all_logs(done.run_id) if entry.dagster_event is None]
        return done, said

    done, said = ran(commands.reevaluate_job, "score_what_came", ["host", "time"])
    assert done.success and said[0] == "one" and len(said) == 4 and "'--retrain', 'never'" in said[1]
    done, said = ran(commands.full_job, "materialize_all", ["corpus"])
    assert not done.success and "'--preset', 'smoke'" in said[1] and "'--retrain', 'always'" in said[1]
    chosen = Settings(data=str(tmp_path / "d"), preset="rtx4060").choices()
    places.remember(tmp_path / "s", tmp_path / "d", chosen)
    _, said = ran(commands.full_job, "materialize_all", ["host"])
    assert "'--preset', 'rtx4060'" in said[1]
    _, said = ran(commands.full_job, "materialize_all", ["host"], data=str(tmp_path / "d"), preset="smoke")
    assert "'--preset', 'smoke'" in said[1]  # the launchpad says so
    (failure,) = [event for event in done.all_events if event.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == "rlstir: no corpora"
