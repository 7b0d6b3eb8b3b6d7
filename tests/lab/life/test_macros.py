"""Macros of the lab's life: how they expand, what they refuse, and that the life does not repeat itself."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.lab.life.language import life
from rlstir_core.lab.life.macros import Macro, Macros

MACROS = """
[starts]
do = [{ load = "libc" }]

[command]
default = { chance = 1.0, does = [] }
do = [{ run = "sh -c '<line>'", under = "<under>", chance = "<chance>", does = [{ use = "starts" }, "<does>"] }]

[twice]
do = [{ use = "command", line = "<what>", under = "a" }, { use = "command", line = "<what>; sync", under = "b" }]

[selfish]
do = [{ use = "roundabout" }]

[roundabout]
do = [{ run = "x", does = [{ use = "selfish" }] }]
"""
LIFE = Path(str(resources.files("rlstir_core.lab.life")))
FILES = sorted(LIFE.glob("*/**/*.toml"))


def macros(text: str = MACROS) -> Macros:
    return Macros(msgspec.convert(tomllib.loads(text), dict[str, Macro]))


def expanded(text: str) -> Any:
    return macros().expand(tomllib.loads(text), "some.toml")


def test_a_macro_is_replaced_by_its_actions_with_the_parameters_filled_in() -> None:
    assert expanded('do = [{ run = "w" }, { use = "command", line = "id", under = "shell", chance = 0.5 }]') == {
        "do": [
            {"run": "w"},
            {"run": "sh -c 'id'", "under": "shell", "chance": 0.5, "does": [{"load": "libc"}]},
        ]
    }


def test_a_parameter_that_is_not_given_has_its_default() -> None:
    assert expanded('do = [{ use = "command", line = "id", under = "x" }]')["do"][0]["chance"] == 1.0


def test_a_list_that_is_given_goes_into_the_list_around_it() -> None:
    given = 'do = [{ use = "command", line = "id", under = "x", does = [{ read = "a" }, { read = "b" }] }]'
    assert expanded(given)["do"][0]["does"] == [{"load": "libc"}, {"read": "a"}, {"read": "b"}]


def test_macros_stand_in_macros_and_in_what_is_given_to_them() -> None:
    assert [each["run"] for each in expanded('do = [{ use = "twice", what = "ls" }]')["do"]] == [
        "sh -c 'ls'",
        "sh -c 'ls; sync'",
    ]
    inner = '{ use = "command", line = "inner", under = "x" }'
    outer = expanded(f'do = [{{ use = "command", line = "outer", under = "x", does = [{inner}] }}]')["do"][0]
    assert outer["does"][1]["run"] == "sh -c 'inner'"


def test_what_is_filled_in_is_not_filled_in_again() -> None:
    assert expanded('do = [{ use = "twice", what = "echo <line>" }]')["do"][0]["run"] == "sh -c 'echo <line>'"


@pytest.mark.parametrize(
    ("use", "message"),
    [
        ('use = "comand", line = "id", under = "x"', "there is no macro 'comand'; did you mean 'command'?"),
        ('use = "nothing like it"', "there is no macro 'nothing like it'; write it into the folder macros"),
        ("use = 3", "there is no macro 3"),
        ('use = "command", line = "id"', "the macro 'command' needs 'under'; write `under = …` beside its use"),
        ('use = "starts", under = "x"', r"the macro 'starts' has no parameter 'under' \(it has: none\); leave it out"),
        ('use = "selfish"', r"uses itself \(selfish > roundabout > selfish\); take one `use` out"),
        (
            'use = "command", line = ["id"], under = "x"',
            r"<line> stands within a text and is given \['id'\]; give a text",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_the_file_and_the_remedy(use: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^some.toml of the lab's life: .*{message}"):
        expanded(f"do = [{{ {use} }}]")


@pytest.mark.parametrize(
    "text", ['[a]\ndo = [{ run = "x" }]\ndefault = { under = "y" }', '[a]\ndo = ["<use>"]', "[a]\ndone = []", "[a]"]
)
def test_a_macro_has_actions_and_defaults_of_its_own_parameters_only(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        macros(text)


def test_names_may_stand_in_rows_and_keep_their_order() -> None:
    rows = 'names = [{ b = "{x}", a = ["{y}", "z"] }, { c = "{w}" }]'
    assert list(expanded(rows)["names"].items()) == [("b", ["{x}"]), ("a", ["{y}", "z"]), ("c", ["{w}"])]
    assert expanded('[names]\nb = "{x}"')["names"] == {"b": ["{x}"]}


@pytest.mark.parametrize("rows", ['names = [{ a = "x" }, { a = "y" }]', 'names = ["a"]'])
def test_a_name_is_declared_once_and_in_a_table(rows: str) -> None:
    with pytest.raises(ConfigError, match=r"some\.toml of the lab's life: "):
        expanded(rows)


def _uses(raw: Any) -> Iterator[str]:
    if isinstance(raw, dict) and "use" in raw:
        yield raw["use"]
    for each in raw.values() if isinstance(raw, dict) else raw if isinstance(raw, list) else ():
        yield from _uses(each)


@pytest.mark.parametrize("os", ["linux", "windows"])
def test_every_macro_is_used_at_least_twice(os: str) -> None:
    files = {path: tomllib.loads(path.read_text("utf-8")) for path in FILES if path.is_relative_to(LIFE / os)}
    known = {name for path, raw in files.items() if path.parent.name == "macros" for name in raw}
    used = Counter(name for raw in files.values() for name in _uses(raw))
    assert known and not {name for name in known if used[name] < 2}


def test_the_whole_life_stands_within_13000_lines() -> None:
    assert sum(len(path.read_text("utf-8").splitlines()) for path in FILES) <= 13_000


def test_lines_stay_short_but_for_texts_that_cannot_be_broken() -> None:
    lines = [line for path in FILES for line in path.read_text("utf-8").splitlines()]
    assert sum(len(line) > 120 for line in lines) <= 0.015 * len(lines)


def test_few_lines_stand_in_a_run_of_five_that_is_found_elsewhere_too() -> None:
    files = [[line.strip() for line in path.read_text("utf-8").splitlines()] for path in FILES]
    runs = Counter(tuple(lines[at : at + 5]) for lines in files for at in range(len(lines) - 4))
    repeated = sum(
        any(runs[tuple(lines[start : start + 5])] > 1 for start in range(max(0, at - 4), min(at, len(lines) - 5) + 1))
        for lines in files
        for at in range(len(lines))
    )
    assert repeated <= 0.15 * sum(map(len, files))  # without macros it was seven in ten


def test_a_macro_leaves_no_trace_in_the_life() -> None:
    for os in ("linux", "windows"):
        text = msgspec.json.encode(life(os)).decode()
        assert '"use"' not in text and '"<under>"' not in text and '"<by>"' not in text
