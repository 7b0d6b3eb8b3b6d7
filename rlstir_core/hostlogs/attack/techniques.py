"""ATT&CK: the pinned label space of 80 techniques, old names of techniques and tactics, and roll-up to the parent.

`techniques.csv` holds ids, names and tactics as facts of MITRE ATT&CK (c) The MITRE Corporation, version 18.1 of
2025-11-13 with the ids and the division of defense evasion of 2026; `technique_aliases.csv` says what an id of
before is called now. What does not belong here: which file or event carries which technique (`labels.py`).
"""

from __future__ import annotations

import csv
import functools
import re
from importlib import resources

import msgspec

from rlstir_core.errors import ConfigError

ATTACK_VERSION = "18.1, ids of 2026"

_ID = re.compile(r"T\d{4}(?:\.\d{3})?", re.ASCII)
_MAX_ALIAS_STEPS = 4
_TACTIC_IDS = {
    "TA0001": "initial-access",
    "TA0002": "execution",
    "TA0003": "persistence",
    "TA0004": "privilege-escalation",
    "TA0005": "defense-evasion",
    "TA0006": "credential-access",
    "TA0007": "discovery",
    "TA0008": "lateral-movement",
    "TA0009": "collection",
    "TA0010": "exfiltration",
    "TA0011": "command-and-control",
    "TA0040": "impact",
    "TA0042": "resource-development",
    "TA0043": "reconnaissance",
}
# Defense evasion was divided: it may mean either part.
_DIVIDED = {"defense-evasion": ("stealth", "defense-impairment")}


class Technique(msgspec.Struct, frozen=True, kw_only=True):
    """One technique or sub-technique of the label space."""

    id: str
    name: str
    tactics: tuple[str, ...]

    @property
    def parent(self) -> str:
        return self.id.partition(".")[0]


@functools.cache
def techniques() -> dict[str, Technique]:
    """The label space by id, in the order of the ids: the order of a technique head's outputs."""
    found = {}
    for row in _rows("techniques.csv"):
        found[row["id"]] = Technique(id=row["id"], name=row["name"], tactics=tuple(row["tactics"].split("|")))
    return found


@functools.cache
def aliases() -> dict[str, str]:
    """{id of before: id of now}."""
    return {row["old_id"]: row["new_id"] for row in _rows("technique_aliases.csv")}


def current_id(text: str) -> str:
    """The id that is in use now for a technique id as somebody wrote it; ConfigError where it is none.

    Case and surrounding white space do not matter.
    """
    found = text.strip().upper()
    if _ID.fullmatch(found) is None:
        raise ConfigError(f"{text[:40]!r} is no technique id; write T1234 or T1234.001")
    for _ in range(_MAX_ALIAS_STEPS):
        if found not in aliases():
            break
        found = aliases()[found]
    return found


def in_space(technique: str) -> str | None:
    """The label that a technique has: its own, else its parent's, else None (it is then reported as unseen)."""
    for candidate in (technique, technique.partition(".")[0]):
        if candidate in techniques():
            return candidate
    return None


def tactics_of(text: str) -> tuple[str, ...]:
    """The tactics that a name or id of before or now stands for; empty where it stands for none."""
    word = text.strip()
    name = _TACTIC_IDS.get(word.upper(), re.sub(r"[\s_]+", "-", word.lower()))
    if name in _DIVIDED:
        return _DIVIDED[name]
    return (name,) if name in _known_tactics() else ()


@functools.cache
def _known_tactics() -> frozenset[str]:
    names = {tactic for technique in techniques().values() for tactic in technique.tactics}
    return frozenset(names | (set(_TACTIC_IDS.values()) - set(_DIVIDED)))


def _rows(name: str) -> list[dict[str, str]]:
    text = (resources.files(__package__) / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
