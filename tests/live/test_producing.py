"""What is published of an episode: nothing before it could be known, and the very numbers of scoring and evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from rlstir_core.live.contract import EpisodeData, MetricData, PhaseData, PredictionData, StepData, TelemetryData
from rlstir_core.live.producing.timed import Timed, play, send

TEST_HOST = "k-gamingcom"


class Heard:
    """Keeps what it is sent, with the time of a clock that sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.events: list[tuple[float, str, dict[str, Any], str]] = []

    def publish(self, type: str, data: dict[str, Any], *, subject: str = "", wait_s: float = 0.0) -> bool:
        self.events.append((self.now, type, data, subject))
        return True

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def phases(*seconds: float) -> list[Timed]:
    return [Timed(at_s=s, data=PhaseData(host="h", episode="e", t_s=s, phase="clean")) for s in seconds]


def test_events_are_played_at_their_second_over_the_speed() -> None:
    heard = Heard()
    n = play(phases(0, 10, 10, 30), heard, speed=20, clock=lambda: heard.now, sleep=heard.sleep)
    assert n == 4 and [at - 100 for at, *_ in heard.events] == [0, 0.5, 0.5, 1.5]
    assert {subject for *_, subject in heard.events} == {"h/e"}


def test_full_speed_waits_for_nothing() -> None:
    heard = Heard()
    assert play(phases(0, 1000), heard, speed=0, clock=lambda: heard.now, sleep=heard.sleep) == 2
    assert heard.now == 100


def test_a_replay_that_is_late_does_not_wait_more() -> None:
    heard = Heard()

    def slow(_: float) -> None:
        heard.now += 3

    play(phases(0, 1, 2, 20), heard, speed=1, tell=slow, clock=lambda: heard.now, sleep=heard.sleep)
    assert [at - 100 for at, *_ in heard.events] == [3, 6, 9, 23]


def test_a_figure_is_of_no_episode() -> None:
    heard = Heard()
    send(heard, MetricData(model="m", metric="macro_f1", value=0.5))
    assert heard.events[0][1:] == ("model_metric", {"model": "m", "metric": "macro_f1", "value": 0.5}, "")


def test_an_investigation_is_told_step_by_step() -> None:
    from rlstir_core.investigator.inquiry.records import Believed, CaseAsked, CaseBegun, QueryAsked, RowSaid
    from rlstir_core.live.producing.asked import steps_told

    row = RowSaid(log="ep: logs/sysmon.jsonl", seq=7, t_wall_ns=0, time="", text="whoami " + "x" * 900)
    believed = Believed(attack=0.25, tampered=0.5, techniques={f"T{n}": n / 100 for n in range(30)})
    steps: list[StepData] = []
    heard = steps_told("h", "ep", "r", "ppo", steps.append)
    heard(CaseBegun(name="ep", host="h", alert=row, first=believed))
    asked = QueryAsked(query="q", sentence="What?", about="", entity="e", cost=2.0, spent=2.0, before=believed,
                       after=believed, changed={}, rows=(row,) * 20)  # fmt: skip
    heard(asked)
    heard(CaseAsked(name="ep", host="h", recording=True, n_rows=50, alert=row, first=believed, queries=(asked,),
                    spent=2.0, n_seen=21, ended="it stopped", declared_by="the frozen detector", verdict=believed,
                    spans=()))  # fmt: skip
    assert [(each.step, each.kind, each.spent) for each in steps] == [
        (0, "alert", 0),
        (1, "query", 2),
        (2, "verdict", 2),
    ]
    assert (
        steps[1].n_rows == 20 and len(steps[1].rows) == 8 and steps[1].rows[0].startswith("sysmon.jsonl row 7: whoami")
    )
    assert list(steps[1].techniques) == [f"T{n}" for n in range(29, 19, -1)]
    assert steps[2].sentence == "it stopped; 21 of 50 rows seen, by the frozen detector"
    heard_all = Heard()
    assert all(send(heard_all, each) for each in steps)


def test_a_training_draws_a_curve_for_each_of_its_members() -> None:
    from rlstir_core.live.producing.curves import curve_of
    from rlstir_core.progress import followed, looked

    heard = Heard()
    looked(1, 0.5)  # nobody follows
    with followed(curve_of(heard, "cnn_realistic", "host")):
        for step, value in ((1, 0.2), (2, 0.3), (1, 0.1), (5, 0.4)):
            looked(step, value)
    looked(6, 0.5)
    points = [
        (data["model"].removeprefix("cnn_realistic "), data["step"], data["value"]) for _, _, data, _ in heard.events
    ]
    assert points == [("1", 1, 0.2), ("1", 2, 0.3), ("2", 1, 0.1), ("2", 5, 0.4)]


def test_a_training_is_published_where_a_live_view_runs_and_fails_by_none(
    live_server: Callable[..., Any], tmp_path: Path
) -> None:
    from rlstir_core.live.producing.curves import curve_published
    from rlstir_core.progress import looked

    data = tmp_path / "data"
    (data / "live").mkdir(parents=True)
    with curve_published(data, "m", "host"):
        looked(1, 0.5)
    server = live_server()
    server.end()
    server.folder = data / "live"
    server.start()
    with pytest.raises(ZeroDivisionError), curve_published(data, "m", "host"):
        looked(2, 0.5)
        1 / 0  # noqa: B018 - what a training fails by is told
    ((_, event),) = server.watch(until=server.post()[1]["last"])
    assert (event["data"]["model"], event["data"]["step"], event["data"]["metric"]) == ("m 1", 2, "validation_macro_f1")
    (data / "live" / "address.json").write_text("[]")
    with curve_published(data, "m", "host"):
        looked(3, 0.5)


@pytest.fixture(scope="module")
def scorer(driven: Any) -> Any:
    from rlstir_core.evaluation.detectors.scoring import Scorer

    return Scorer(driven.layout, driven.store, "host", lambda _: None)


@pytest.fixture(scope="module")
def replayed(driven: Any, scorer: Any) -> Any:
    """An episode of the test host as it was spoken of, and its events."""
    from rlstir_core.detectors.single import IndexClaim
    from rlstir_core.live.producing import replay

    entry = driven.index.of_host(TEST_HOST)[0]
    path = driven.store / entry.path
    spoken = scorer.speak(path, IndexClaim(), lambda _: None)
    labels = replay.true_phases(path, IndexClaim(), scorer.registry)
    return spoken, labels, list(replay.replayed(spoken, scorer.schema, labels, "run"))


@pytest.mark.slow
def test_no_event_stands_before_the_second_at_which_it_is_known(replayed: Any) -> None:
    _, labels, events = replayed
    assert labels and all(before.at_s <= after.at_s for before, after in pairwise(events))
    assert isinstance(events[0].data, EpisodeData) and events[-1].data.state == "ended"
    for event in events:
        data = event.data
        if isinstance(data, PredictionData):
            assert event.at_s == data.end_s
        elif isinstance(data, TelemetryData):
            bins = max(map(len, data.values.values()))
            assert event.at_s == pytest.approx(min(data.t_s + bins * data.step_s, events[-1].at_s))
        elif isinstance(data, PhaseData):
            assert event.at_s == data.t_s
    assert len([1 for event in events if isinstance(event.data, PhaseData)]) == len(labels)


@pytest.mark.slow
def test_the_predictions_are_those_of_scoring(scorer: Any, replayed: Any) -> None:
    from rlstir_core.detectors.single import IndexClaim

    spoken, _, events = replayed
    score = scorer.score(spoken.single.path, IndexClaim(), lambda _: None)
    by_model: dict[str, list[PredictionData]] = {}
    for event in events:
        if isinstance(event.data, PredictionData):
            by_model.setdefault(event.data.model, []).append(event.data)
    assert list(by_model) == [says.name for says in score.models]
    for says in score.models:
        assert [each.p_attack for each in by_model[says.name]] == pytest.approx(list(says.attack), abs=1e-12)
        assert [each.end_s for each in by_model[says.name]] == list(score.window_end_s)
    told = {model.name: model for model in events[0].data.models}
    assert {name: model.threshold for name, model in told.items()} == {
        says.name: says.threshold for says in score.models
    }
    assert [model.chosen for model in events[0].data.models] == [True] + [False] * (len(told) - 1)


@pytest.mark.slow
def test_what_is_said_of_a_window_does_not_change_when_what_follows_is_cut_off(scorer: Any, replayed: Any) -> None:
    from rlstir_core.detectors.single import first_windows, spoken_single, standing_of

    spoken, _, _ = replayed
    n = len(spoken.single.recording.grid.start_W)
    for each in scorer.loaded[:12]:
        if not hasattr(each.checkpoint, "input_schema"):
            continue
        for k in (1, n // 2):
            cut = first_windows(spoken.single, k)
            place = standing_of(each.checkpoint, scorer.split, spoken.single.recording.info)
            said = np.mean(
                [p for *_, p in spoken_single(each.members, each.checkpoint.input_schema, cut, place)], axis=0
            )
            np.testing.assert_allclose(said, spoken.proba[each.name][:k], atol=2e-5)


@pytest.mark.slow
def test_telemetry_is_told_whole_and_in_its_units(scorer: Any, replayed: Any) -> None:
    spoken, _, events = replayed
    x_CT = spoken.single.x_CT
    for at, channel in enumerate(scorer.schema.channels):
        parts = [
            e.data.values[channel.name]
            for e in events
            if isinstance(e.data, TelemetryData) and channel.name in e.data.values
        ]
        told = np.array([np.nan if value is None else value for part in parts for value in part])
        if not np.isfinite(x_CT[at]).any():
            assert not len(told)
            continue
        expected = np.sinh(x_CT[at].astype(float)) if channel.scale == "log" else x_CT[at]
        np.testing.assert_allclose(told, expected, rtol=1e-5)


@pytest.mark.slow
def test_the_figures_are_those_of_the_eval_json(driven: Any) -> None:
    from rlstir_core.evaluation.detectors.detector_eval import read_inputs
    from rlstir_core.live.producing.figures import metrics, profiles

    inputs = read_inputs(driven.layout, "host")
    told = {
        (each.model, each.metric, each.group, each.of): each
        for each in (*metrics(inputs.models), *profiles(inputs.models))
    }
    for model in inputs.models:
        written = json.loads((driven.layout.evaluation("host") / f"{model.name}_eval.json").read_text())
        figure = written["metrics"]["macro_f1"]
        mine = told[model.name, "macro_f1", "all", ""]
        assert (mine.value, mine.lo, mine.hi) == (figure["value"], figure["lo"], figure["hi"])
        for host, stratum in written["per_host"].items():
            assert told[model.name, "macro_f1", "host", host].value == stratum["macro_f1"]["value"]
        for untested in written["untested"]:
            if untested["kind"] in ("profile", "host"):
                assert told[model.name, "macro_f1", untested["kind"], untested["name"]].value is None


@pytest.mark.slow
def test_speeds_are_measured_of_every_checkpoint(scorer: Any, replayed: Any) -> None:
    from rlstir_core.live.producing.speed import speeds

    clock = iter(range(10**9))
    found = list(speeds(scorer, replayed[0].single, clock=lambda: float(next(clock))))
    assert len(found) == len([each for each in scorer.loaded if hasattr(each.checkpoint, "input_schema")])
    assert all(each.n >= 1 and 0 < each.p50_ms <= each.p95_ms for each in found)


@pytest.mark.slow
def test_an_episode_goes_all_the_way_from_a_command_to_a_watcher(
    own_driven: Any,
    invoke: Callable[..., Any],
    live_server: Callable[..., Any],
    untrained_actors: Callable[..., None],
) -> None:
    driven, data = own_driven, own_driven.data
    untrained_actors(driven.layout)
    server = live_server()
    server.end()
    server.folder = data / "live"
    server.start()
    logs = driven.layout.log_events(TEST_HOST).glob("[!.]*.parquet")
    episode = next(path.stem for path in logs if pq.ParquetFile(path).metadata.num_rows)
    where = ("--data", data, "--store", driven.store)
    for words in (
        ("replay", episode, "--speed", "0", *where),
        ("metrics", *where[:2]),
        ("profiles", *where[:2]),
        ("perf", episode, *where),
    ):
        done = invoke("live", *words)
        assert done.exit_code == 0 and "not investigated" not in done.output, done.output
    kept = [event for _, event in server.watch(until=server.post()[1]["last"])]
    assert {event["type"].split(".")[2] for event in kept} == {
        "episode", "telemetry", "phase", "prediction", "investigation_step", "model_metric", "model_perf",
    }  # fmt: skip
    steps = [event["data"] for event in kept if event["type"] == "io.rlstir.investigation_step.v1"]
    assert (steps[0]["kind"], steps[-1]["kind"]) == ("alert", "verdict")
    assert sum(step.get("cost", 0) for step in steps) == pytest.approx(steps[-1]["spent"])


@pytest.mark.slow
def test_without_a_live_view_a_command_says_how_to_open_one(driven: Any, invoke: Callable[..., Any]) -> None:
    done = invoke("live", "replay", "any", "--data", driven.data, "--store", driven.store)
    assert done.exit_code == 2
    assert f"no live view of {driven.data} runs; open one in another shell with: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
