"""The shorthand that the lab's life is written in: macros (`use`), and names in rows; it is gone once a file is read.

A macro is a list of actions under a name, in `<os>/macros/*.toml`. Whatever stands there as `<word>` is a parameter:

    [allow_and_run]
    default = { does = [] }
    do = [
      { run = "chmod +x <file>", under = "<under>", does = [{ chmod = "<file>" }] },
      { run = "<file>", under = "<under>", does = ["<does>"] },
    ]

`{ use = "allow_and_run", file = "{drop}", under = "shell" }` puts both in its place. A text that is nothing but a
parameter takes any value, and in a list the items of a list; within a longer text it takes a text or a number. What
does not belong here: what an action may say (`language.py`) and what `{name}` stands for (`names.py`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from rlstir_core.errors import ConfigError

_PARAMETER = re.compile(r"<(\w+)>")


class Macro(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Actions with parameters; those that have a `default` need not be given."""

    do: list[Any]
    default: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if unknown := self.default.keys() - self.parameters:
            raise ValueError(f"the default of {min(unknown)!r}, but nothing in `do` says <{min(unknown)}>")
        if "use" in self.parameters:
            raise ValueError("a parameter cannot be called 'use': rename it")

    @property
    def parameters(self) -> set[str]:
        """The names of all `<word>` in it."""
        return {name for text in _texts(self.do) for name in _PARAMETER.findall(text)}


class Macros:
    """The macros of one operating system."""

    def __init__(self, known: Mapping[str, Macro]) -> None:
        self._known = dict(known)
        self._parameters = {name: macro.parameters for name, macro in known.items()}

    def expand(self, raw: Any, file: str) -> Any:
        """What `raw`, read from `file`, stands for: no `use` is left in it, and names are one table."""
        return self._plain(raw, file, ())

    def _plain(self, raw: Any, file: str, within: tuple[str, ...]) -> Any:
        if isinstance(raw, dict):
            return {
                key: _one_table(value, file) if key == "names" else self._plain(value, file, within)
                for key, value in raw.items()
            }
        if not isinstance(raw, list):
            return raw
        plain: list[Any] = []
        for each in raw:
            if isinstance(each, dict) and "use" in each:
                plain += self._used(each, file, within)
            else:
                plain.append(self._plain(each, file, within) if isinstance(each, (dict, list)) else each)
        return plain

    def _used(self, use: dict[str, Any], file: str, within: tuple[str, ...]) -> list[Any]:
        name = use["use"]
        macro = self._known.get(name) if isinstance(name, str) else None
        if macro is None:
            near = difflib.get_close_matches(str(name), self._known, 1)
            hint = f"did you mean {near[0]!r}?" if near else "write it into the folder macros"
            raise _wrong(file, f"there is no macro {name!r}; {hint}")
        if name in within:
            raise _wrong(file, f"the macro {name!r} uses itself ({' > '.join((*within, name))}); take one `use` out")
        # what is given is expanded first: it is the user's text, so it may use the macro that it is given to
        given = {key: self._plain(value, file, within) for key, value in use.items() if key != "use"}
        values = {**macro.default, **given}
        if missing := self._parameters[name] - values.keys():
            raise _wrong(file, f"the macro {name!r} needs {min(missing)!r}; write `{min(missing)} = …` beside its use")
        if surplus := values.keys() - self._parameters[name]:
            has = ", ".join(sorted(self._parameters[name])) or "none"
            raise _wrong(file, f"the macro {name!r} has no parameter {min(surplus)!r} (it has: {has}); leave it out")
        try:
            filled = _filled(macro.do, values)
        except ValueError as error:
            raise _wrong(file, f"the macro {name!r}: {error}") from None
        plain: list[Any] = self._plain(filled, file, (*within, name))
        return plain


def _filled(body: Any, values: Mapping[str, Any]) -> Any:
    """`body` with its parameters filled in; what is filled in is not looked at again."""
    if isinstance(body, str):
        if "<" not in body:
            return body
        if whole := _PARAMETER.fullmatch(body):
            return values[whole[1]]
        return _PARAMETER.sub(lambda found: _text(found[1], values[found[1]]), body)
    if isinstance(body, dict):
        return {key: _filled(value, values) for key, value in body.items()}
    if not isinstance(body, list):
        return body
    filled: list[Any] = []
    for each in body:
        value = _filled(each, values)
        if isinstance(each, str) and isinstance(value, list):
            filled += value
        else:
            filled.append(value)
    return filled


def _text(name: str, value: Any) -> str:
    if isinstance(value, (str, int, float)):
        return str(value)
    raise ValueError(f"<{name}> stands within a text and is given {value!r}; give a text")


def _texts(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    for each in body.values() if isinstance(body, dict) else body if isinstance(body, list) else ():
        yield from _texts(each)


def _one_table(names: Any, file: str) -> Any:
    """Names that are written in rows, a text that is the only one without its brackets."""
    table: dict[str, Any] = {}
    for row in names if isinstance(names, list) else [names]:
        if not isinstance(row, dict):
            raise _wrong(file, f"`names` has {row!r} in it; write `name = [texts]`")
        if twice := table.keys() & row.keys():
            raise _wrong(file, f"the name {min(twice)!r} is there twice; rename one")
        table |= {name: [texts] if isinstance(texts, str) else texts for name, texts in row.items()}
    return table


def _wrong(file: str, what: str) -> ConfigError:
    return ConfigError(f"{file} of the lab's life: {what}; see rlstir_core/lab/life/macros.py")
