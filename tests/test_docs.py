"""What the documents say exists: commands, options, settings, targets, files; and every module says what it is for."""

from __future__ import annotations

import ast
import dataclasses
import io
import re
import shlex
import shutil
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pytest
import zstandard

from rlstir_assets.cli import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = sorted([ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")])
MODULES = sorted([*(ROOT / "rlstir_core").rglob("*.py"), *(ROOT / "rlstir_assets").rglob("*.py")])
ALL_MODULES = sorted([*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])


def code(text: str) -> list[str]:
    """Lines of fenced blocks that are no Python, and inline code, of a markdown text."""
    text = re.sub(r"(?ms)^```python\n.*?^```$", "", text)
    fenced = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```", "", text))
    return [line for block in fenced for line in block.splitlines()] + inline


def calls(name: str) -> list[list[str]]:
    """The arguments of every call of the command `name` in the pages."""
    found = []
    for page in PAGES:
        for line in (part for text in code(page.read_text()) for part in text.split("&&") if name in part):
            words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else line.split()
            if words and Path(words[0]).name == name:
                found.append(words[1:])
    return found


def test_the_readme_is_read_in_three_minutes() -> None:
    lines = README.splitlines()
    assert len(lines) <= 150
    fences = [number for number, line in enumerate(lines, 1) if line.startswith("```")]
    assert fences[0] < 30 and lines[fences[0]].startswith("make run")
    picture = next(number for number, line in enumerate(lines, 1) if line.startswith("!["))
    assert picture <= 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not re.match(r"https?:", target):
            assert (page.parent / target).is_file(), target
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
        assert (page.parent / picture).stat().st_size < 300_000


def test_every_rlstir_call_is_one_that_the_command_line_accepts() -> None:
    found = calls("rlstir")
    assert len(found) >= 4
    for words in found:
        command: click.Command = cli
        rest = list(words)
        while isinstance(command, click.Group) and rest:
            name = rest.pop(0)
            assert name in command.commands, words
            command = command.commands[name]
        if rest:
            command.make_context("rlstir", rest)  # an unknown option or a wrong value is an error


def test_every_make_target_exists_and_every_target_is_told() -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    named = {words[0] for words in calls("make") if words}
    assert named <= targets
    assert {"run", "test", "check", "bench", "ui"} <= named


def test_every_dagster_call_names_assets_that_exist() -> None:
    import dagster as dg

    from rlstir_assets.definitions import defs

    keys = defs.resolve_asset_graph().get_all_asset_keys()
    selects = [words[words.index("--select") + 1] for words in calls("dagster") if "--select" in words]
    assert selects
    for select in selects:
        assert select.startswith("key:")
        assert dg.AssetKey.from_user_string(select.removeprefix("key:")) in keys


def test_every_asset_of_the_readme_exists_and_the_other_way_round() -> None:
    from rlstir_assets.definitions import defs

    names = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    plain = {name for name in names if not name.startswith("checkpoint/")}
    assert all(re.search(rf"\b{name}\b", README) for name in plain)
    assert "checkpoint/<model>_<mode>" in README


def test_every_setting_of_the_readme_is_read_by_the_code_and_the_other_way_round() -> None:
    sources = "\n".join(path.read_text() for path in (*MODULES, ROOT / "Makefile"))
    read = set(re.findall(r"\bRLSTIR_[A-Z_]+\b", sources))
    told = set(re.findall(r"\bRLSTIR_[A-Z_]+\b", README))
    assert told == read


def test_every_preset_recipe_and_normaliser_of_the_code_stands_in_the_readme() -> None:
    from rlstir_core.contract.registry import MODES
    from rlstir_core.datasets.recipes import RECIPES
    from rlstir_core.detectors.models import MODELS
    from rlstir_core.learning.presets import PRESETS
    from rlstir_core.telemetry.normalise import NORMALISERS

    for name in (*PRESETS, *RECIPES, *MODES, *NORMALISERS):
        assert f"`{name}`" in README, name
    assert all(re.search(rf"\b{model}\b", README) for model in MODELS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_folders_and_files_that_a_page_names_exist(page: Path) -> None:
    for name in re.findall(r"`((?:rlstir_core|rlstir_assets|tests|benchmarks|docs)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_the_limits_of_the_security_page_are_those_of_the_code_and_each_has_a_case() -> None:
    from hostile_corpus import CASES

    from rlstir_core.episodes.limits import Limits

    units = {"MiB": 2**20, "KiB": 2**10, "hours": 3600 * 10**9, "seconds": 10**9}
    rows = re.findall(r"(?m)^\| `(\w+)` \| ([\d,.]+) (\w+)[^|]*\| `([\w-]+)` \|$", (ROOT / "SECURITY.md").read_text())
    told = {name: float(number.replace(",", "")) * units.get(unit, 1) for name, number, unit, _ in rows}
    assert told == dataclasses.asdict(Limits())
    assert {case for *_, case in rows} <= {case.name for case in CASES}


def test_every_module_says_what_belongs_in_it() -> None:
    for path in MODULES:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_every_module_that_a_module_docstring_names_lies_where_a_reader_would_look() -> None:
    for path in ALL_MODULES:
        words = ast.get_docstring(ast.parse(path.read_text())) or ""
        folders = [folder for folder in path.parents if folder.is_relative_to(ROOT)]  # its own, then those above
        for name in re.findall(r"`([\w./-]+\.py)`", words):
            assert any((folder / name).is_file() for folder in folders), (path, name)


def test_no_module_has_over_400_lines_and_no_folder_over_15_modules() -> None:
    modules = Counter(path.parent for path in ALL_MODULES if path.name != "__init__.py")
    assert {folder: n for folder, n in modules.items() if n > 15} == {}
    lengths = {path: len(path.read_text().splitlines()) for path in ALL_MODULES}
    assert {path: n for path, n in lengths.items() if n > 400} == {}


def test_nothing_in_the_project_names_the_machine_it_was_written_on() -> None:
    pages = [*MODULES, *PAGES, ROOT / "Makefile", ROOT / "pyproject.toml", ROOT / "dagster.yaml"]
    for path in pages:
        assert not re.search(r"/(?:work|home|root|Users)/\w", path.read_text()), path


def block(page: str, language: str) -> str:
    """The first fenced block in this language."""
    found = re.search(rf"(?ms)^```{language}\n(.*?)^```$", (ROOT / "docs" / page).read_text())
    assert found is not None
    return found[1]


def test_the_episode_of_the_page_for_recorders_is_one_that_a_store_takes(
    invoke: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exec(compile(block("store.md", "python"), "store.md", "exec"), {})
    checked = invoke("validate", "ep-0001.tar.zst")
    assert checked.exit_code == 0
    assert "ep-0001.tar.zst: degraded (channel.missing): perf.jsonl is missing" in checked.stdout
    commands = re.findall(r"(?m)^rlstir (.*)$", (ROOT / "docs" / "store.md").read_text())
    assert len(commands) == 4
    for line in commands:
        done = invoke(*shlex.split(line))
        assert done.exit_code == 0, done.output
    listed = invoke("list", "episodes", "--store", tmp_path / "my-store")
    assert "recorder-1" in listed.stdout, listed.output
    with tarfile.open(fileobj=io.BytesIO(unpacked(tmp_path / "ep-0001.tar.zst"))) as tar:
        tar.extractall(tmp_path / "recorded", filter="data")
    monkeypatch.chdir(tmp_path / "recorded")
    if shutil.which("zstd") is None:
        pytest.skip("the shell's example needs zstd, which is not installed here")
    subprocess.run(["sh", "-c", block("store.md", "sh")], check=True, timeout=60)
    again = invoke("add", "ep-0001.tar.zst", "--store", tmp_path / "second")
    assert again.exit_code == 0 and "1 episodes added" in again.stdout


def unpacked(path: Path) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
