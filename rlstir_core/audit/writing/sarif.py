"""An audit as SARIF 2.1.0, for tools that show findings beside the files they speak of.

A failed check is an error, one that warns a warning; one that passed has kind `pass`, one that was not made kind
`open`, both without a level. What does not belong here: exit codes.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from rlstir_core.audit.findings import Audit, Checked, Judgement
from rlstir_core.audit.writing.rules import RULES, rule_of

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL: dict[Judgement, str] = {"fail": "error", "warn": "warning", "ok": "none", "not checked": "none"}
_KIND: dict[Judgement, str] = {"fail": "fail", "warn": "fail", "ok": "pass", "not checked": "open"}
_WORDS = str.maketrans("[]{}", "()()")  # brackets would be links, and braces placeholders


def sarif(found: Audit, uri: str) -> dict[str, Any]:
    """The log; `uri` is where the predictions lie, as a path."""
    rules = list(RULES)
    artifact = {"uri": quote(uri.encode("utf-8", "surrogateescape"), safe="/")}
    run = {
        "tool": {
            "driver": {
                "name": "rlstir audit",
                "rules": [{"id": name, "shortDescription": {"text": RULES[name]}} for name in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "exitCode": int(found.failed)}],
        "results": [_result(each, rules, artifact) for each in found.checks],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(each: Checked, rules: list[str], artifact: dict[str, str]) -> dict[str, Any]:
    location: dict[str, Any] = {"physicalLocation": {"artifactLocation": artifact, "region": {"startLine": 1}}}
    if each.examples:
        location["logicalLocations"] = [{"name": name} for name in each.examples]
    return {
        "ruleId": each.check,
        "ruleIndex": rules.index(rule_of(each)),
        "kind": _KIND[each.verdict],
        "level": _LEVEL[each.verdict],
        "message": {"text": each.sentence.translate(_WORDS)},
        "locations": [location],
        "properties": {"about": each.about, "n_about": each.n_about, "figures": msgspec.to_builtins(each.figures)},
    }
