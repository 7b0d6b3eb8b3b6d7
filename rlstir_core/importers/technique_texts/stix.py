"""ATT&CK as STIX 2 bundles: names and descriptions, procedure examples, analytics with the logs that they read.

Relations may stand in other files than what they relate, so that all objects are gathered first. Only techniques of
ATT&CK Enterprise are read. What does not belong here: the label space (`hostlogs/attack/`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from rlstir_core.errors import ConfigError
from rlstir_core.importers.technique_texts.json_lines import MAX_BYTES
from rlstir_core.importers.technique_texts.text import Text, checked, read_bytes, said, short_id

_KEPT = frozenset(
    ("attack-pattern", "relationship", "x-mitre-detection-strategy", "x-mitre-analytic", "x-mitre-data-component")
)
_OBJECTS_AT_MOST = 500_000
_CITATION = re.compile(r"\(Citation: [^)]{0,200}\)|\[([^\]]{0,200})\]\(https?://[^)\s]{0,400}\)")
_CODES = re.compile(r"\bEventCode\s*=\s*([\d, ]{1,80})")
_LOGS = {"sysmon": "sysmon", "security": "security", "powershell": "powershell", "system": "system"}
_DECODER = msgspec.json.Decoder(dict[str, Any])


class Bundles:
    """Objects of every bundle that was found, the last of each id."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Any]] = {}

    def add(self, path: Path, faults: list[str]) -> bool:
        """Whether the file is a bundle; another JSON file is passed over."""
        raw = read_bytes(path, MAX_BYTES)
        try:
            bundle = _DECODER.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        objects = bundle.get("objects")
        if bundle.get("type") != "bundle" or not isinstance(objects, list):
            return False
        for each in objects:
            if not isinstance(each, dict) or each.get("type") not in _KEPT or not isinstance(each.get("id"), str):
                continue
            if each.get("revoked") is True or each.get("x_mitre_deprecated") is True:
                continue
            if len(self._objects) >= _OBJECTS_AT_MOST:
                faults.append(f"{path.name}: over {_OBJECTS_AT_MOST} objects, the rest is left out")
                break
            self._objects[each["id"]] = each
        return True

    def texts(self, faults: list[str]) -> Iterator[Text]:
        """The texts of all objects together."""
        ids = {key: own for key, each in self._objects.items() if (own := _technique(each))}
        for text in (*self._patterns(ids), *self._uses(ids), *self._analytics(ids)):
            try:
                if text.text:
                    yield checked(text)
            except ConfigError as error:
                faults.append(f"{text.source} {text.id[:40]}: {error}")

    def _patterns(self, ids: dict[str, str]) -> Iterator[Text]:
        for key, own in ids.items():
            each = self._objects[key]
            phases = [phase for phase in _list(each, "kill_chain_phases") if isinstance(phase, dict)]
            yield Text(
                source="attack",
                id=own,
                techniques=(own,),
                kind="prose",
                text=_plain(said(_text(each, "name") + ".", _text(each, "description"))),
                platform=_platform(each),
                tactics=tuple(_text(phase, "phase_name") for phase in phases),
            )

    def _uses(self, ids: dict[str, str]) -> Iterator[Text]:
        for key, each in self._objects.items():
            own = ids.get(_text(each, "target_ref"))
            if each["type"] == "relationship" and each.get("relationship_type") == "uses" and own:
                text = _plain(said(_text(each, "description")))
                yield Text(source="attack_uses", id=short_id(key), techniques=(own,), kind="prose", text=text)

    def _analytics(self, ids: dict[str, str]) -> Iterator[Text]:
        for each in self._objects.values():
            own = ids.get(_text(each, "target_ref"))
            if each["type"] != "relationship" or each.get("relationship_type") != "detects" or not own:
                continue
            strategy = self._objects.get(_text(each, "source_ref"), {})
            for ref in _list(strategy, "x_mitre_analytic_refs"):
                analytic = self._objects.get(ref) if isinstance(ref, str) else None
                if analytic is not None:
                    yield self._analytic(own, analytic)

    def _analytic(self, own: str, analytic: dict[str, Any]) -> Text:
        events, channels = [], []
        for reference in _list(analytic, "x_mitre_log_source_references"):
            if not isinstance(reference, dict):
                continue
            name, channel = _text(reference, "name").lower(), _text(reference, "channel")
            channels.append(channel)
            log = next((log for word, log in _LOGS.items() if word in name), "")
            codes = _CODES.search(channel)
            if log and codes:
                events += [f"{log}|{code}" for code in re.findall(r"\d{1,6}", codes[1])]
        return Text(
            source="attack_analytics",
            id=short_id(_text(analytic, "id")),
            techniques=(own,),
            kind="detection",
            text=_plain(said(_text(analytic, "description"), *channels)),
            platform=_platform(analytic),
            events=tuple(dict.fromkeys(events)),
        )


def _technique(each: dict[str, Any]) -> str:
    """The id of a technique of ATT&CK Enterprise; empty for anything else."""
    domains = _list(each, "x_mitre_domains")
    if each["type"] != "attack-pattern" or (domains and "enterprise-attack" not in domains):
        return ""
    for reference in _list(each, "external_references"):
        if isinstance(reference, dict) and reference.get("source_name") == "mitre-attack":
            return _text(reference, "external_id")
    return ""


def _platform(each: dict[str, Any]) -> str:
    names = [name.lower() for name in _list(each, "x_mitre_platforms") if isinstance(name, str)]
    return next((name for name in ("windows", "linux") if name in names), "other" if names else "")


def _plain(text: str) -> str:
    return _CITATION.sub(lambda found: found[1] or "", text)


def _text(each: dict[str, Any], name: str) -> str:
    value = each.get(name)
    return value if isinstance(value, str) else ""


def _list(each: dict[str, Any], name: str) -> list[Any]:
    value = each.get(name)
    return value if isinstance(value, list) else []
