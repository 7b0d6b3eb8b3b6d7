"""Imported Sigma rules: what each is about, its condition, its level and the techniques that its tags name.

pySigma (LGPL, the extra `sigma`) parses them; nothing of it is needed where nobody imported rules. What does not belong
here: conditions (`conditions.py`), and importing (`importers/sigma.py`).
"""

from __future__ import annotations

import functools
from collections import Counter, defaultdict
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rlstir_core.errors import ConfigError, UpstreamMissing
from rlstir_core.hostlogs.attack.techniques import current_id
from rlstir_core.hostlogs.sigma.conditions import Condition, Unsupported, compiled
from rlstir_core.hostlogs.sigma.events import LINUX, WINDOWS, SigmaEvent, services, table
from rlstir_core.remedies import command

NO_RULES = "Sigma rules (rlstir import sigma brings them)"
NO_PYSIGMA = "pySigma, which reads the imported Sigma rules (pip install 'rlstir[sigma]')"
LEVELS = ("informational", "low", "medium", "high", "critical")
_ANY = msgspec.json.Decoder(dict[str, Any])


class About(NamedTuple):
    """The events that a rule is about."""

    system: str
    services: frozenset[str] | None  # None for every one
    events: frozenset[tuple[str, str]] | None  # of which service, which ids

    def covers(self, event: SigmaEvent) -> bool:
        if event.system != self.system:
            return False
        if self.events is not None:
            return any((service, event.event_id) in self.events for service in event.services)
        return self.services is None or not self.services.isdisjoint(event.services)


class Rule(NamedTuple):
    """One rule that names techniques and can be matched."""

    title: str
    level: int  # from 1 for informational to 5 for critical
    techniques: tuple[str, ...]  # by their ids of now
    about: About
    condition: Condition


class Rules(NamedTuple):
    """What was imported, and why some of it is not used."""

    rules: tuple[Rule, ...]
    n_given: int
    unused: dict[str, int]  # {why: rules}

    @property
    def techniques(self) -> tuple[str, ...]:
        return tuple(sorted({own for rule in self.rules for own in rule.techniques}))


def pysigma_version() -> str:
    """The version of pySigma; empty where it is not installed."""
    try:
        return metadata.version("pysigma")
    except metadata.PackageNotFoundError:
        return ""


def read_rules(path: Path) -> Rules:
    """The rules of a file that an import wrote; UpstreamMissing where it cannot be read."""
    try:
        lines = path.read_bytes().splitlines()
        given = [_ANY.decode(line) for line in lines]
    except (OSError, msgspec.MsgspecError) as error:
        raise UpstreamMissing(
            f"{path} cannot be read ({str(error)[:120]}); import the rules again with: "
            f"{command('import', 'sigma', 'PATH')}"
        ) from None
    found, unused = [], Counter[str]()
    for rule in given:
        try:
            found.append(_rule(rule))
        except Unsupported as error:
            unused[str(error)] += 1
    return Rules(tuple(found), len(given), dict(sorted(unused.items(), key=lambda each: (-each[1], each[0]))))


def _rule(given: dict[str, Any]) -> Rule:
    from sigma.exceptions import SigmaError
    from sigma.rule import SigmaRule

    if "correlation" in given:
        raise Unsupported("a correlation of several rules")
    try:
        rule = SigmaRule.from_dict(given)
        techniques = _techniques([str(tag.name) for tag in rule.tags if tag.namespace == "attack"])
        if not techniques:
            raise Unsupported("it names no technique")
        about = _about(rule.logsource)
        parts = [compiled(condition.parse()) for condition in rule.detection.parsed_condition]
    except Unsupported:
        raise
    except (SigmaError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unsupported(f"pySigma refuses it ({type(error).__name__})") from None
    level = rule.level.name.lower() if rule.level is not None else LEVELS[0]
    return Rule(rule.title, LEVELS.index(level) + 1, techniques, about, _any(parts))


def _any(parts: list[Condition]) -> Condition:
    if len(parts) != 1:
        raise Unsupported("several conditions")
    return parts[0]


def _techniques(tags: list[str]) -> tuple[str, ...]:
    found = dict[str, None]()
    for tag in tags:
        try:
            found[current_id(tag)] = None
        except ConfigError:  # a tactic, a group or a software
            continue
    return tuple(found)


def _about(source: Any) -> About:
    """The events of a rule's log source; Unsupported where no log row can be one."""
    category, service = str(source.category or "").lower(), str(source.service or "").lower()
    system = str(source.product or (WINDOWS if category in categories() else "")).lower()
    if system == WINDOWS:
        if category and category not in categories():
            raise Unsupported(f"the category {category[:40]} of windows")
        if service and service not in services().values():
            raise Unsupported(f"the service {service[:40]} of windows")
        events = categories().get(category) if category else None
        return About(WINDOWS, frozenset([service]) if service else None, events)
    if system == LINUX:
        if category == "process_creation":
            return About(LINUX, frozenset(["auditd"]), None)
        if category:
            raise Unsupported(f"the category {category[:40]} of linux")
        return About(LINUX, frozenset([service]) if service else None, None)
    raise Unsupported(f"logs of {(system or category or 'no product')[:40]}")


@functools.cache
def categories() -> dict[str, frozenset[tuple[str, str]]]:
    """{category of Windows: (service, event id) of its events}"""
    found: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for row in table("categories.csv"):
        found[row["category"]] |= {(row["service"], event) for event in row["events"].split("|")}
    return {name: frozenset(events) for name, events in found.items()}
