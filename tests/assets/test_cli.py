"""The command line: bad input is one sentence and exit code 2, and the first line comes at once."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from rlstir_assets.cli import cli
from rlstir_assets.cli.common import fail
from rlstir_assets.console import Console
from rlstir_core.datasets.recipes import RECIPES

HEAVY = ("dagster", "torch", "numpy", "pyarrow", "scipy", "xgboost", "sqlalchemy")
COMMANDS = (
    ("lab", "generate"),
    ("lab", "tamper"),
    *(("import", what) for what in ("table", "logs", "knowledge", "sigma")),
    *(("live", what) for what in ("replay", "metrics", "profiles", "perf")),
    *((name,) for name in ("templates", "export", "score", "investigate", "case", "judge", "audit", "sync", "show")),
    *((name,) for name in ("validate", "materialize", "add", "list", "ui")),
)


def refused(result: Result, *words: str) -> str:
    """The one sentence of a refusal."""
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("rlstir: "), lines
    assert "Traceback" not in result.output
    for word in words:
        assert word in lines[0]
    return lines[0]


@pytest.fixture
def store(tmp_path: Path, small_store: Callable[..., Path]) -> Path:
    return small_store(tmp_path / "store", episodes=2)


# Bad input


def test_a_missing_store_is_refused_with_the_command_that_makes_one(invoke: Any, tmp_path: Path) -> None:
    refused(invoke("materialize", "--store", tmp_path / "none"), "is not a folder", "rlstir lab generate --store")


def test_a_folder_without_an_index_is_refused(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for command in ("materialize", "validate"):
        refused(invoke(command, "--store", tmp_path / "empty"), "has no index.jsonl", "rlstir lab generate")


def test_an_empty_store_is_refused(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "index.jsonl").touch()
    for command in ("materialize", "validate"):
        refused(invoke(command, "--store", tmp_path / "empty"), "is empty", "rlstir lab generate")


def test_a_store_that_is_a_file_is_refused(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(invoke("materialize", "--store", tmp_path / "file"), "is not a folder")
    refused(invoke("validate", "--store", tmp_path / "file"), "is not a folder")
    refused(invoke("lab", "generate", "--store", tmp_path / "file", "--episodes", 2), "Not a directory")


def test_one_host_cannot_be_held_out_and_the_other_recipes_are_named(
    invoke: Any, tmp_path: Path, small_store: Callable[..., Path]
) -> None:
    invoke("lab", "generate", "--store", tmp_path / "one", "--hosts", "host-a", "--episodes", 1)
    result = invoke("materialize", "--store", tmp_path / "one")
    refused(result, "one host only (host-a)", "--recipe sample")


def test_an_unknown_preset_is_refused_with_the_known_ones(invoke: Any, store: Path) -> None:
    refused(invoke("materialize", "--store", store, "--preset", "huge"), "'huge'", "smoke, rtx4060, rtx3090x2")


def test_the_preset_of_the_environment_is_used_and_refused_alike(
    invoke: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLSTIR_PRESET", "huge")
    refused(invoke("materialize", "--store", store), "environment variable RLSTIR_PRESET", "'huge'")
    monkeypatch.setenv("RLSTIR_PRESET", "")
    monkeypatch.setenv("RLSTIR_NORMALISE", "loud")
    refused(invoke("materialize", "--store", store), "environment variable RLSTIR_NORMALISE", "'loud'", "ewma")


@pytest.mark.parametrize("text", ["nonsense", "key:nonsense", "(((", "key:", "+comparison_v2", "group:nobody"])
def test_a_selection_that_means_nothing_or_one_layer_is_refused_with_an_example(
    invoke: Any, store: Path, text: str
) -> None:
    refused(invoke("materialize", "--store", store, "--select", text), "--select '+key:comparison_v2'", repr(text))


def test_train_hosts_that_the_store_lacks_are_refused_before_anything_is_made(
    invoke: Any, store: Path, tmp_path: Path
) -> None:
    result = invoke("materialize", "--store", store, "--data", tmp_path / "data", "--train-hosts", "k-gamingcom,zoe")
    refused(result, "'zoe'", "elliott-thinkpad, k-gamingcom")
    assert not (tmp_path / "data").exists()


def test_train_hosts_go_with_recipe_host_only(invoke: Any, store: Path) -> None:
    refused(invoke("materialize", "--store", store, "--recipe", "time", "--train-hosts", "a"), "--recipe host")


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999999"])
def test_a_seed_that_no_library_takes_is_refused(invoke: Any, store: Path, seed: str) -> None:
    done = invoke("materialize", "--store", store, "--seed", seed)
    assert done.exit_code == 2 and "2147483647" in done.stderr


def test_an_unknown_recipe_is_refused(invoke: Any, store: Path) -> None:
    result = invoke("materialize", "--store", store, "--recipe", "weekday")
    assert result.exit_code == 2
    assert ", ".join(repr(name) for name in (*RECIPES, "all")) in result.stderr


def test_an_unknown_mapping_is_refused_with_those_that_ship(invoke: Any, tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("a,b\n1,2\n")
    result = invoke("import", "table", tmp_path / "runs.csv", "--mapping", "nobody", "--store", tmp_path / "s")
    refused(result, "'nobody'", "hiper, uea")


def test_a_table_that_is_not_there_is_refused(invoke: Any, tmp_path: Path) -> None:
    result = invoke("import", "table", tmp_path / "none.csv", "--mapping", "hiper", "--store", tmp_path / "s")
    refused(result, "none.csv", "cannot be read")


def test_a_store_is_never_generated_over_another(invoke: Any, store: Path) -> None:
    refused(invoke("lab", "generate", "--store", store), "already holds a store")


@pytest.mark.parametrize("name", ["a b", "../up", "x|y", "ok,x/", ".hidden"])
def test_unsafe_host_names_are_refused(invoke: Any, tmp_path: Path, name: str) -> None:
    result = invoke("lab", "generate", "--store", tmp_path / "s", "--hosts", name)
    refused(result, "is not a safe identifier")


def test_a_dagster_home_without_its_file_is_refused(invoke: Any, store: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    refused(invoke("materialize", "--store", store, home=tmp_path / "bare"), "dagster.yaml", "DAGSTER_HOME")


# Disks


def test_outputs_that_cannot_be_written_are_named_with_a_remedy(invoke: Any, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refused(invoke("materialize", "--store", store, "--data", tmp_path / "file"), "Not a directory")
    assert str(tmp_path / "file") in message
    refused(invoke("validate", "--store", store, "--out", tmp_path / "file" / "v.jsonl"), "check the path")


def test_a_full_disk_is_one_sentence_and_leaves_no_half_file(
    invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    result = invoke("lab", "generate", "--store", tmp_path / "s", "--episodes", 2)
    refused(result, "No space left on device", "free some space", ".tar.zst")
    assert [path for path in (tmp_path / "s").rglob("*") if path.is_file()] == []


def test_a_full_disk_under_dagsters_own_records_is_one_sentence(
    invoke: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqlalchemy.exc import OperationalError

    from rlstir_assets import instance

    def full() -> None:
        raise OperationalError("CREATE TABLE runs", None, Exception("database or disk is full"))

    monkeypatch.setattr(instance, "open_instance", full)
    refused(invoke("materialize", "--store", store), "database or disk is full", "free some space", ".rlstir/dagster")


def test_ctrl_c_is_one_sentence_and_the_code_that_shells_give(
    invoke: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlstir_core.episodes.store import index

    def interrupted(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(index, "read_index", interrupted)
    result = invoke("materialize", "--store", store)
    assert result.exit_code == 128 + signal.SIGINT
    assert result.stderr == "rlstir: interrupted; what was finished is kept, the same command goes on from there\n"


def test_a_reader_that_left_ends_the_command_without_a_traceback(store: Path) -> None:
    code = (
        "import os, sys\n"
        "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
        "from rlstir_assets.cli import main\n"
        f"sys.argv = ['rlstir', 'validate', '--store', {str(store)!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == ""


# What a person sees


def test_the_command_line_imports_nothing_heavy() -> None:
    code = f"import sys, rlstir_assets.cli; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["materialize"], ["validate"], ["lab", "generate"]])
def test_the_first_line_comes_before_anything_heavy_is_imported(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from rlstir_assets import cli, console\n"
        "def say(self, text):\n"
        f"    print(text, [name for name in {HEAVY} if name in sys.modules]); sys.exit(0)\n"
        "console.Console.say = say\n"
        f"sys.argv = ['rlstir', *{arguments!r}, '--store', {str(tmp_path / 'none')!r}]\n"
        "cli.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.rstrip().endswith("[]"), done
    assert str(tmp_path / "none") in done.stdout


def leaves(group: click.Group, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], click.Command]:
    found: dict[tuple[str, ...], click.Command] = {}
    for name, command in group.commands.items():
        here = (*path, name)
        found.update(leaves(command, here) if isinstance(command, click.Group) else {here: command})
    return found


def test_every_command_is_known_to_these_tests() -> None:
    assert set(leaves(cli)) == set(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_help_has_an_example_that_the_command_accepts(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(cli, [*path, "--help"])
    assert result.exit_code == 0
    text = " ".join(result.output.split())
    assert re.search(rf"Example: rlstir {' '.join(path)} ", text), text
    command = leaves(cli)[path]
    for option in command.params:
        assert getattr(option, "help", "") or isinstance(option, click.Argument), option.name
    words = (command.help or "").split("Example: rlstir ")[1].split()[len(path) :]
    command.make_context("rlstir", words)


def test_validate_gives_one_line_of_json_for_every_tarball(invoke: Any, store: Path, tmp_path: Path) -> None:
    entry = next((store / "episodes").rglob("*.tar.zst"))
    stray = entry.with_name("ep-stray.tar.zst")
    stray.write_bytes(b"no archive")
    result = invoke("validate", "--store", store, "--out", tmp_path / "verdicts.jsonl")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in (tmp_path / "verdicts.jsonl").read_text().splitlines()]
    assert all({"file", "verdict", "reason"} <= set(row) for row in rows)
    assert sorted(row["file"] for row in rows) == sorted(
        path.relative_to(store).as_posix() for path in (store / "episodes").rglob("*.tar.zst")
    )
    verdicts = {row["file"]: row["verdict"] for row in rows}
    assert verdicts[stray.relative_to(store).as_posix()] == "reject"
    assert re.search(r"(?m)^next: \S*rlstir materialize", result.stdout)
    assert len(result.stdout.splitlines()) <= 25
    as_json = invoke("validate", "--store", store, "--json")
    assert [json.loads(line) for line in as_json.stdout.splitlines()] == rows


def test_files_are_validated_without_a_store_and_a_rejected_one_is_no_success(
    invoke: Any, store: Path, tmp_path: Path
) -> None:
    good = next((store / "episodes").rglob("*.tar.zst"))
    (tmp_path / "bad.tar.zst").write_bytes(b"no archive")
    done = invoke("validate", good, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["verdict"] in ("ok", "degraded")
    both = invoke("validate", good, tmp_path / "bad.tar.zst")
    assert both.exit_code == 2 and "1 of 2 tarballs would be rejected" in both.stderr
    assert f"{tmp_path / 'bad.tar.zst'}: reject (archive.not_zstd): the file does not begin as zstd" in both.stdout
    assert re.search(rf"(?m)^next: \S*rlstir add {re.escape(str(good))} --store \S+/store$", both.stdout)
    refused(invoke("validate", tmp_path / "none.tar.zst"), "none.tar.zst is not a file")


def test_what_there_is_is_listed_in_words_and_as_json(invoke: Any, store: Path) -> None:
    hosts = [json.loads(line) for line in invoke("list", "--store", store, "--json").stdout.splitlines()]
    assert [(each["host"], each["episodes"]) for each in hosts] == [("elliott-thinkpad", 1), ("k-gamingcom", 1)]
    assert hosts[0]["verdicts"] == {"not validated": 1}
    one = invoke("list", "episodes", "--store", store, "--host", "k-gamingcom").stdout.splitlines()
    assert len(one) == 3 and one[0].startswith("k-gamingcom") and one[-1].startswith("next: ")
    assert "two records in one line" in one[1]
    assert "no results in" in invoke("list", "results", "--store", store).stdout
    refused(invoke("list", "episodes", "--store", store, "--host", "zoe"), "'zoe'", "elliott-thinkpad, k-gamingcom")
    refused(invoke("list", "hosts", "--store", store, "--host", "zoe"), "--host goes with `episodes`")


def test_the_help_of_every_group_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for group in ([], ["lab"], ["import"]):
        text = CliRunner().invoke(cli, [*group, "--help"], terminal_width=80).output
        assert "..." not in text.split("Commands:")[1], text


def test_a_train_host_of_the_environment_is_refused_by_the_variables_name(
    invoke: Any, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLSTIR_TRAIN_HOSTS", "zoe")
    refused(invoke("materialize", "--store", store), "environment variable RLSTIR_TRAIN_HOSTS: train host 'zoe'")


def test_generate_says_what_it_made_in_words_and_in_json(invoke: Any, tmp_path: Path) -> None:
    result = invoke("lab", "generate", "--store", tmp_path / "a", "--episodes", 2, "--json")
    assert json.loads(result.stdout)["episodes"] == 2
    result = invoke("lab", "generate", "--store", tmp_path / "b", "--episodes", 2, "--seed", 7)
    assert re.search(r"(?m)^next: \S*rlstir materialize", result.stdout)
    one, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.tar.zst")}
        for name in "ab"
    )
    assert one == other


def test_relative_folders_are_taken_from_where_the_command_was_given(invoke: Any, tmp_path: Path) -> None:
    assert invoke("lab", "generate", "--store", "here", "--episodes", 2).exit_code == 0
    assert (tmp_path / "here" / "index.jsonl").exists()


def test_store_and_data_of_the_environment_are_used_where_no_option_is_given(
    invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLSTIR_STORE", str(tmp_path / "env"))
    assert invoke("lab", "generate", "--episodes", 2).exit_code == 0
    assert (tmp_path / "env" / "index.jsonl").exists()
    assert invoke("validate").exit_code == 0


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_shows_a_bar_that_is_whole_and_lines_that_stay(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("COLUMNS", str(columns)), ("TERM", "xterm"), ("TTY_COMPATIBLE", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with Console() as console:
        console.say("one")
        console.count(3, 4, "[red]" + "x" * 500)
        console.finished("gru_realistic", 12.34)
        console.finished("gbt_oracle", 3.2)
        console.say(f"next: rlstir {'y' * 200}")
    shown = [re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", capsys.readouterr().out)]
    bars = [line for line in shown if "xxx" in line]
    assert bars and all(len(line) <= columns and "[red]" in line and "75%" in line and "…" in line for line in bars)
    assert "  gru_realistic                       12.3 s" in shown
    assert "  gbt_oracle                           3.2 s" in shown
    assert any(line.startswith("next: rlstir yyy") and len(line) > 200 for line in shown)  # a terminal folds it


def test_no_terminal_is_told_what_is_done_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as console:
        console._stop.set()
        console.say("one")
        console.finished("validation", 1.0)
    assert capsys.readouterr().out == "one\n  validation                           1.0 s\n"


def test_a_sentence_never_has_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        fail("one\n  and\ttwo")
    assert stop.value.code == 2
    assert capsys.readouterr().err == "rlstir: one and two\n"
