"""`rlstir investigate` and what paints it: what a person reads of hostile logs, and what a miss says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from rlstir_core.episodes.store.writer import write_episode, write_index
from rlstir_core.remedies import program

LINE = "May  1 10:{:02}:07 north sudo[7]: maria : TTY=pts/0 ; USER=root ; COMMAND=/usr/bin/dump lsass \x1b[31mred {}\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a\x1b[2J\u202eb.log"
    path.write_text("".join(LINE.format(k, k) for k in range(30)))
    return path


@pytest.fixture
def data(invoke: Callable[..., Result], tmp_path: Path) -> Path:
    texts = tmp_path / "texts.jsonl"
    said = {"T1003.001": "dump lsass memory", "T1053.003": "crontab schedule"}
    lines: list[dict[str, Any]] = [
        {"source": "s", "id": own, "platform": "linux", "kind": "command", "techniques": [own], "text": text}
        for own, text in said.items()
    ]
    texts.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert invoke("import", "knowledge", texts, "--data", tmp_path / "data").exit_code == 0
    return tmp_path / "data"


def test_what_happened_is_read_on_a_terminal_of_80_columns_and_painted(
    invoke: Callable[..., Result], log: Path, data: Path, tmp_path: Path
) -> None:
    result = invoke("investigate", log, "--data", data)
    assert result.exit_code == 0, result.output
    *lines, following = result.stdout.splitlines()
    assert [line for line in lines[1:] if len(line) > 80] == [] and len(lines) <= 40
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout
    assert " named; likeliest tactics: " in result.stdout and "T1003.001 LSASS Memory" in result.stdout
    assert "risk: not judged" in result.stdout and "have no number of their own" in result.stdout
    assert following.startswith(f"next: {program()} investigate ") and following.endswith("--json > found.json")
    told = invoke("investigate", log, "--data", data, "--json")
    assert told.exit_code == 0 and told.stdout.isascii()
    (tmp_path / "found.json").write_text(told.stdout)
    painted = invoke("export", "navigator", "--found", "found.json", "--out", "layer.json")
    assert painted.exit_code == 0 and painted.stdout.splitlines()[-2].endswith(" techniques in layer.json")
    assert (tmp_path / "layer.json").read_text().isascii()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("investigate", "nowhere"), "nowhere is no file or folder, and there is no store"),
        (("investigate", "far/nowhere.evtx"), "far/nowhere.evtx is not there or is no file or folder"),
        (("investigate", "."), "no log in"),
        (("investigate", ".", "--host", "h"), "--host h goes with an id of the store"),
        (("investigate", ".", "--data", "far"), "far is not a folder; name the data folder"),
        (("investigate", ".", "--recipe", "hosts"), "recipe 'hosts' is unknown; choose one of host, loho"),
        (("export", "navigator", "--found", "far.json", "--out", "x"), "far.json is not there; write it with"),
        (("export", "ecs", "--found", "far.json", "--out", "x"), "--found goes with navigator alone, not with ecs"),
        (("export", "navigator", "--found", "f", "--host", "h", "--out", "x"), "alone, not with --host"),
    ],
)
def test_bad_input_is_one_sentence(invoke: Callable[..., Result], arguments: tuple[str, ...], sentence: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr and len(result.stderr.splitlines()) == 1


def test_an_episode_of_the_store_is_investigated_by_its_id(
    invoke: Callable[..., Result], data: Path, tmp_path: Path
) -> None:
    meta = {"host_id": "north", "profile": "io-walk", "sample_name": "s", "benign": True}
    times = {"t_start_wall_ns": 1_777_600_000_000_000_000, "t_end_wall_ns": 1_777_603_600_000_000_000}
    logs = {"logs/auth.log": "".join(LINE.format(k, k) for k in range(5)).encode()}
    record = write_episode(tmp_path / "store", {"episode_id": "ep-1", **meta, **times}, (), {}, logs)
    write_index(tmp_path / "store", [record])
    where = ("--store", tmp_path / "store", "--data", data)
    result = invoke("investigate", "ep-1", *where)
    assert result.exit_code == 0 and "5 rows of 1 log" in result.stdout and " logs/auth.log row " in result.stdout
    missed = invoke("investigate", "ep-2", *where)
    assert missed.exit_code == 2 and "episode 'ep-2' is not among the 1 of" in missed.stderr
