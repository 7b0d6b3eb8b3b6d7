"""Values that an export gives by their place alone, under the names of their fields: the table is `places.toml`.

PowerShell's `Properties`, and insertion strings of several collectors. Where the number of values fits no version of an
event nothing is said: a field that is one place off is another field. What does not belong here: JSON (`exporters.py`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from rlstir_core.hostlogs.windows.field_names import AUDIT_LOG, POWERSHELL, SECURITY, SYSMON_PROVIDERS

_TABLE = Path(__file__).with_name("places.toml")
_SECTIONS = {
    "security": (SECURITY, AUDIT_LOG),
    "sysmon": tuple(sorted(SYSMON_PROVIDERS)),
    "powershell": (POWERSHELL, "PowerShellCore"),
    "services": ("Service Control Manager",),
}
CUT = ("System.Diagnostics.Eventing", "@{")  # what is printed of an object that lies too deep


@cache
def _orders() -> dict[tuple[str, str], dict[int, tuple[str, ...]]]:
    table = tomllib.loads(_TABLE.read_text())
    groups: dict[str, str] = table["groups"]

    def names(line: str) -> list[str]:
        return [name for word in line.split() for name in (names(groups[word[1:]]) if word.startswith("+") else [word])]

    found: dict[tuple[str, str], dict[int, tuple[str, ...]]] = {}
    for section, providers in _SECTIONS.items():
        for event_id, lines in table[section].items():
            versions = {len(order): order for order in (tuple(names(line)) for line in lines)}
            for provider in providers:
                found[provider, event_id] = versions
    return found


def by_place(provider: str, event_id: str, values: object) -> dict[str, Any]:
    """The values under their names; empty where the table has no version of the event with so many."""
    plain = plain_values(values)
    names = _orders().get((provider, event_id), {}).get(len(plain))
    return dict(zip(names, plain, strict=True)) if names and plain else {}


def names_of(provider: str, event_id: str) -> frozenset[str]:
    """Every name that a version of the event has; empty where the table does not know it."""
    return frozenset(name for order in _orders().get((provider, event_id), {}).values() for name in order)


def plain_values(values: object) -> list[Any]:
    """The values of `[{"Value": …}]` or a list of them; empty where an object was cut off for lying too deep."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return []
    found = [_plain(value) for value in values]
    cut = any(isinstance(value, str) and value.startswith(CUT) for value in found)
    return [] if cut or all(value is None for value in found) else found


def _plain(value: object) -> Any:
    if isinstance(value, dict):
        value = value.get("Value", value.get("value"))
        if isinstance(value, dict):  # a security identifier, which has a `Value` of its own
            value = value.get("Value")
    return "" if isinstance(value, (dict, list)) else value
