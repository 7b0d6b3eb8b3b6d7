"""Conditions of Sigma rules as pySigma parses them, to tests of an event and the atoms that such a test needs.

An atom is what can be asked of a value at once for all rules: it is, begins with, ends with or has a text, in whatever
case. What does not belong here: asking (`matching.py`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rlstir_core.errors import ConfigError
from rlstir_core.hostlogs.sigma.events import TEXT

_SAME_OF_ALL = ("EventID", "Channel", "Provider_Name")  # of the events that a rule is asked about at all


class Atom(NamedTuple):
    """A question that is asked of one field's value in lower case."""

    field: str
    how: str  # is, starts, ends, has
    text: str


class Asked(NamedTuple):
    """An event, and which atoms hold of it."""

    fields: Mapping[str, str]
    atoms: set[Atom]


Test = Callable[[Asked], bool]


class Condition(NamedTuple):
    """A test; wherever it holds, one of `needs` does. Without `needs` it may hold of anything."""

    test: Test
    needs: frozenset[Atom] | None
    atoms: frozenset[Atom]  # all that it asks


class Unsupported(ConfigError):
    """A condition that cannot be asked of one row."""


def compiled(node: Any) -> Condition:
    """The condition of a parsed tree; Unsupported says what in it cannot be matched."""
    from sigma.conditions import (
        ConditionAND,
        ConditionFieldEqualsValueExpression,
        ConditionNOT,
        ConditionOR,
        ConditionValueExpression,
    )

    if isinstance(node, ConditionAND):
        return _and([compiled(each) for each in node.args])
    if isinstance(node, ConditionOR):
        return _or([compiled(each) for each in node.args])
    if isinstance(node, ConditionNOT):
        inner = compiled(node.args[0])
        return Condition(lambda asked: not inner.test(asked), None, inner.atoms)
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _value(node.field, node.value)
    if isinstance(node, ConditionValueExpression):
        return _value(TEXT, node.value)
    raise Unsupported(f"a condition of kind {type(node).__name__}")


def _and(parts: list[Condition]) -> Condition:
    tests = tuple(part.test for part in parts)
    known = [part.needs for part in parts if part.needs]
    return Condition(
        lambda asked: all(test(asked) for test in tests),
        max(known, key=_telling, default=None),
        frozenset().union(*(part.atoms for part in parts)),
    )


def _or(parts: list[Condition]) -> Condition:
    tests = tuple(part.test for part in parts)
    needs = [part.needs for part in parts if part.needs is not None]
    return Condition(
        lambda asked: any(test(asked) for test in tests),
        frozenset().union(*needs) if len(needs) == len(parts) else None,
        frozenset().union(*(part.atoms for part in parts)),
    )


def _telling(needs: frozenset[Atom]) -> tuple[int, int]:
    """How rarely one of them will hold: long texts are rare, few of them rarer."""
    return min(len(atom.text) for atom in needs), -len(needs)


def _value(field: str, value: Any) -> Condition:  # noqa: PLR0911 - a kind of value a line
    from sigma import types

    if isinstance(value, types.SigmaExpansion):
        return _or([_value(field, each) for each in value.values])
    if isinstance(value, types.SigmaString):
        return _string(field, value, cased=isinstance(value, types.SigmaCasedString))
    if isinstance(value, (types.SigmaTimestampPart, types.SigmaQueryExpression)):
        raise Unsupported(f"a value of kind {type(value).__name__}")
    if isinstance(value, types.SigmaBool):
        return _atom(field, "is", str(value.boolean).lower())
    if isinstance(value, types.SigmaNumber):
        return _atom(field, "is", str(value.number))
    if isinstance(value, types.SigmaNull):
        return _plain(lambda asked: not asked.fields.get(field))
    if isinstance(value, types.SigmaExists):
        return _plain(lambda asked: (field in asked.fields) == value.exists)
    if isinstance(value, types.SigmaRegularExpression):
        return _plain(_regex(field, str(value.regexp), "".join(sorted(each.name[0].lower() for each in value.flags))))
    if isinstance(value, types.SigmaCIDRExpression):
        return _plain(_inside(field, value.network))
    if isinstance(value, types.SigmaCompareExpression):
        return _plain(_compare(field, value.op.name, float(value.number.number)))
    if isinstance(value, types.SigmaFieldReference):
        return _plain(_reference(field, value.field, value.starts_with, value.ends_with))
    raise Unsupported(f"a value of kind {type(value).__name__}")


def _plain(test: Test) -> Condition:
    return Condition(test, None, frozenset())


def _atom(field: str, how: str, text: str) -> Condition:
    atom = Atom(field, how if field != TEXT else "has", text.lower())
    needs = None if field in _SAME_OF_ALL else frozenset([atom])
    return Condition(lambda asked: atom in asked.atoms, needs, frozenset([atom]))


def _string(field: str, value: Any, *, cased: bool) -> Condition:
    """A text with wildcards: one atom where they stand at its ends alone, else an expression behind an atom."""
    from sigma.types import SpecialChars

    parts = list(value.s)
    if any(not isinstance(part, (str, SpecialChars)) for part in parts):
        raise Unsupported("a placeholder")
    literals = [part for part in parts if isinstance(part, str)]
    if not parts or parts == [""]:
        return _plain(lambda asked: not asked.fields.get(field))
    if not literals:
        return _plain(lambda asked: bool(asked.fields.get(field)))
    many = SpecialChars.WILDCARD_MULTI
    before, after = parts[0] is many, parts[-1] is many
    if not cased and len(parts) == 1 + before + after:
        how = {(True, True): "has", (True, False): "ends", (False, True): "starts"}.get((before, after), "is")
        return _atom(field, how, literals[0])
    pattern = "".join(_escaped(part) if isinstance(part, str) else ".*" if part is many else "." for part in parts)
    if field != TEXT:
        pattern = f"^{pattern}$"
    exact = _plain(_regex(field, pattern, "s" if cased else "is"))
    return _and([_atom(field, "has", max(literals, key=len)), exact])


def _escaped(text: str) -> str:
    return "".join(char if char.isalnum() or char in " _-/" else f"\\x{{{ord(char):x}}}" for char in text)


def _regex(field: str, pattern: str, flags: str) -> Test:
    """Searched for by RE2, whose time is linear in the value: values are hostile."""
    import re2

    try:
        searched = re2.compile(f"(?{flags}){pattern}" if flags else pattern)
    except re2.error:
        raise Unsupported("a regular expression that RE2 does not know") from None

    def test(asked: Asked) -> bool:
        value = asked.fields.get(field)
        return value is not None and searched.search(value) is not None

    return test


def _inside(field: str, network: Any) -> Test:
    def test(asked: Asked) -> bool:
        try:
            return ipaddress.ip_address(asked.fields.get(field, "")) in network
        except ValueError:
            return False

    return test


def _compare(field: str, op: str, number: float) -> Test:
    holds: dict[str, Callable[[float], bool]] = {
        "LT": lambda value: value < number,
        "LTE": lambda value: value <= number,
        "GT": lambda value: value > number,
        "GTE": lambda value: value >= number,
        "NEQ": lambda value: value != number,
    }
    if op not in holds:
        raise Unsupported(f"the comparison {op}")
    compare = holds[op]

    def test(asked: Asked) -> bool:
        try:
            return compare(float(asked.fields[field]))
        except (KeyError, ValueError):
            return False

    return test


def _reference(field: str, other: str, starts: bool, ends: bool) -> Test:
    def test(asked: Asked) -> bool:
        one, two = asked.fields.get(field), asked.fields.get(other)
        if one is None or two is None:
            return False
        one, two = one.lower(), two.lower()
        if starts and ends:
            return two in one
        return one.startswith(two) if starts else one.endswith(two) if ends else one == two

    return test
