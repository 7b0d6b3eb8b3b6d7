"""Which rules match a row: of thousands only those are asked that some atom of the row speaks for.

Rules are grouped by the events that they are about. The atoms of a group are asked of a value once, and what holds of a
value is remembered, since most values come again. What does not belong here: how a rule is read (`rules.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rlstir_core.hostlogs.sigma.conditions import Asked, Atom
from rlstir_core.hostlogs.sigma.events import event_of
from rlstir_core.hostlogs.sigma.rules import Rule

_KEPT = 20_000  # values of a field whose atoms are remembered
_GROUPS = 4_096


class Matcher:
    """Asks these rules of rows."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._groups: dict[tuple[str, tuple[str, ...], str], _Group] = {}

    def matched(self, row: Mapping[str, str]) -> list[int]:
        """The places of the rules that match a row with the columns of `events.COLUMNS`."""
        event = event_of(row)
        key = event.system, event.services, event.event_id
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _GROUPS:
                self._groups.clear()
            about = [place for place, rule in enumerate(self._rules) if rule.about.covers(event)]
            group = self._groups[key] = _Group(self._rules, about)
        return group.matched(event.fields) if group.places else []


class _Group:
    """The rules about one kind of event."""

    def __init__(self, rules: Sequence[Rule], places: list[int]) -> None:
        self.places = places
        self._rules = rules
        self._always = [place for place in places if rules[place].condition.needs is None]
        self._by_need: dict[Atom, list[int]] = defaultdict(list)
        for place in places:
            for atom in rules[place].condition.needs or ():
                self._by_need[atom].append(place)
        by_field: dict[str, set[Atom]] = defaultdict(set)
        for place in places:
            for atom in rules[place].condition.atoms:
                by_field[atom.field].add(atom)
        self._fields = {field: _Field(field, sorted(atoms)) for field, atoms in by_field.items()}

    def matched(self, fields: Mapping[str, str]) -> list[int]:
        atoms: set[Atom] = set()
        for name, field in self._fields.items():
            value = fields.get(name)
            if value is not None:
                atoms.update(field.holding(value))
        asked = set(self._always)
        for atom in atoms:
            asked.update(self._by_need.get(atom, ()))
        event = Asked(fields, atoms)
        return [place for place in sorted(asked) if self._rules[place].condition.test(event)]


class _Field:
    """All atoms of one field."""

    def __init__(self, name: str, atoms: Iterable[Atom]) -> None:
        self._has: list[tuple[str, Atom]] = []
        self._is: dict[str, Atom] = {}
        self._ends: dict[int, dict[str, Atom]] = defaultdict(dict)
        self._starts: dict[int, dict[str, Atom]] = defaultdict(dict)
        for atom in atoms:
            if atom.how == "has":
                self._has.append((atom.text, atom))
            elif atom.how == "is":
                self._is[atom.text] = atom
            else:
                of = self._ends if atom.how == "ends" else self._starts
                of[len(atom.text)][atom.text] = atom
        self._kept: dict[str, tuple[Atom, ...]] = {}

    def holding(self, value: str) -> tuple[Atom, ...]:
        """The atoms that hold of a value."""
        known = self._kept.get(value)
        if known is None:
            known = tuple(self._asked(value.lower()))
            if len(self._kept) >= _KEPT:
                self._kept.clear()
            self._kept[value] = known
        return known

    def _asked(self, lower: str) -> list[Atom]:
        found = [atom for text, atom in self._has if text in lower]
        if lower in self._is:
            found.append(self._is[lower])
        for n, ends in self._ends.items():
            if (atom := ends.get(lower[-n:])) is not None:
                found.append(atom)
        for n, starts in self._starts.items():
            if (atom := starts.get(lower[:n])) is not None:
                found.append(atom)
        return found
