"""`rlstir score` and `rlstir show`: what a person reads, that every next step runs, and what a miss says."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from rlstir_core.atomic import write_bytes
from rlstir_core.remedies import program

pytestmark = pytest.mark.slow
TEST_HOST, TRAIN_HOST = "k-gamingcom", "elliott-thinkpad"


def following(result: Result) -> list[str]:
    """The arguments of the command that an output ends with."""
    name, *arguments = shlex.split(result.stdout.splitlines()[-1].removeprefix("next: "))
    assert name == program()
    return arguments


def test_an_episode_of_the_store_is_scored_by_its_id_and_each_next_step_runs(
    driven: Any, invoke: Callable[..., Result]
) -> None:
    where = ("--data", driven.data, "--store", driven.store)
    episode = driven.index.of_host(TEST_HOST)[0].episode_id
    scored = invoke("score", episode, *where)
    assert scored.exit_code == 0, scored.output
    assert f"recipe host, trained on {TRAIN_HOST}" in scored.stdout
    assert "no member was trained on it" in " ".join(scored.stdout.split())
    assert "realistic, chosen on validation" in scored.stdout and "P(attack) |" in scored.stdout
    assert scored.stdout.count("oracle") == 7
    assert all(len(line) <= 80 for line in scored.stdout.splitlines()[:-1])
    shown = invoke(*following(scored))
    assert shown.exit_code == 0, shown.output
    assert "predictions: " in shown.stdout and "recipe host, test side, as recorded" in shown.stdout
    exported = invoke(*following(shown))
    assert exported.exit_code == 0, exported.output


def test_a_tarball_from_elsewhere_is_scored_as_one_json_document(
    driven: Any, invoke: Callable[..., Result], tmp_path: Path
) -> None:
    copy = tmp_path / "from-elsewhere.tar.zst"
    copy.write_bytes(next(iter(sorted((driven.store / "episodes" / TEST_HOST).iterdir()))).read_bytes())
    (tmp_path / "bad.tar.zst").write_bytes(b"x")
    where = ("--data", driven.data, "--store", driven.store, "--json")
    result = invoke("score", copy.name, tmp_path / "bad.tar.zst", *where)
    assert result.exit_code == 2  # one of the two was scored
    told = json.loads(result.stdout)
    (episode,) = told["episodes"]
    assert (told["recipe"], told["trained_on"]) == ("host", [TRAIN_HOST])
    assert episode["path"] == str(copy) and len(episode["models"]) == 14
    assert [says["chosen"] for says in episode["models"]] == [True] + [False] * 13
    assert len(episode["models"][0]["attack"]) == len(episode["window_end_s"])
    assert "its verdict is reject (archive." in told["refused"][0]
    assert told["next"].startswith(f"{program()} show")
    assert "--host goes" in invoke("score", copy, "--host", "x", *where).stderr.replace("--host x", "--host")


def test_an_episode_that_the_data_folder_does_not_know_goes_into_a_store_next(
    own_driven: Any, invoke: Callable[..., Result]
) -> None:
    entry = own_driven.index.of_host(TEST_HOST)[0]
    own_driven.layout.rows(TEST_HOST, entry.episode_id).unlink()
    result = invoke("score", own_driven.store / entry.path, "--data", own_driven.data, "--store", own_driven.store)
    assert following(result)[0] == "add"
    assert "1 were there already" in invoke(*following(result)).stdout


def test_another_training_does_not_speak_before_its_report_is_written(
    own_driven: Any, invoke: Callable[..., Result]
) -> None:
    where = ("--data", own_driven.data, "--store", own_driven.store)
    episode = own_driven.index.of_host(TEST_HOST)[0].episode_id
    before = invoke("score", episode, *where).stdout
    layout = own_driven.layout
    for path in layout.artifacts("host").glob("*.ckpt.json"):  # as a training that wrote its last file
        write_bytes(path, path.read_bytes() + b"\n")
    layout.report_inputs("host").unlink()  # as an evaluation that began
    after = invoke("score", episode, *where)
    said = [line for line in after.stdout.splitlines() if "waits for its report" not in line]
    assert after.exit_code == 0 and len(said) == len(after.stdout.splitlines()) - 1
    assert said[:-1] == before.splitlines()[:-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("nosuch",), "episode 'nosuch' is not among the 16 of"),
        (("{near}",), "there are like {id}"),
        (("{id}", "--host", "nowhere"), "host 'nowhere' is not in"),
        (("{id}", "--host", TRAIN_HOST), f"is not of host {TRAIN_HOST}, but of {TEST_HOST}"),
    ],
)
@pytest.mark.parametrize("command", ["score", "show"])
def test_a_wrong_id_or_host_is_told_with_what_there_is(
    driven: Any, invoke: Callable[..., Result], command: str, arguments: tuple[str, ...], sentence: str
) -> None:
    episode = driven.index.of_host(TEST_HOST)[0].episode_id
    words = {"id": episode, "near": episode[:-1]}
    more = ("--store", driven.store) if command == "score" else ("--out", "pictures")
    result = invoke(command, *(each.format(**words) for each in arguments), "--data", driven.data, *more)
    assert result.exit_code == 2
    assert sentence.format(**words) in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_folder_without_results_is_told_as_such(driven: Any, invoke: Callable[..., Result], tmp_path: Path) -> None:
    scored = invoke("score", "any", "--data", tmp_path, "--store", driven.store)
    assert scored.exit_code == 2 and f"no checkpoint is under {tmp_path}; train some with: {program()}" in scored.stderr
    for folder, what in ((tmp_path, "holds nothing that RL-STIR made"), (tmp_path / "none", "is not a folder")):
        shown = invoke("show", "any", "--data", folder, "--out", "pictures")
        assert shown.exit_code == 2 and f"{folder} {what}; name the data folder" in shown.stderr
