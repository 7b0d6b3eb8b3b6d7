"""The words that logs and people share, and one name for a Windows event wherever somebody speaks of it.

What does not belong here: which words of a log are read (`documents.py`), and what they tell (`knowledge.py`).
"""

from __future__ import annotations

import csv
import functools
import re
from importlib import resources

_WORD = re.compile(r"<[a-z]+>|(?<![a-z0-9])[-/][a-z]{1,24}(?![a-z0-9\\/])|[a-z][a-z0-9]+", re.ASCII)
_CLASSES = frozenset(("<system>", "<service>", "<machine>", "<person>"))  # of the typed pieces, what tells something

# What texts call the log that a provider writes to.
_LOGS = {
    "microsoft-windows-sysmon": "sysmon",
    "microsoft-windows-security-auditing": "security",
    "microsoft-windows-powershell": "powershell",
    "powershell": "powershell",
    "powershellcore": "powershell",
    "microsoft-windows-eventlog": "system",
    "eventlog": "system",
    "service control manager": "system",
    "microsoft-windows-windows defender": "defender",
    "microsoft-windows-wmi-activity": "wmi",
    "microsoft-windows-taskscheduler": "taskscheduler",
    "microsoft-windows-printservice": "printservice",
    "microsoft-windows-capi2": "capi2",
    "microsoft-windows-winrm": "winrm",
    "microsoft-windows-codeintegrity": "codeintegrity",
    "microsoft-windows-bits-client": "bits",
    "msexchange management": "application",
}
_CLEARED = "1102"  # the Security log, though the service that keeps all logs writes it


def words(text: str) -> list[str]:
    """The words of a text in lower case: split at `. _ -` and without `.exe`; `/x` and `-x` are one option.

    No identifiers, whose typed pieces stand in their place.
    """
    found = []
    for word in _WORD.findall(text.replace("_", " ").replace(".exe", " ")):
        if word[0] == "<":
            if word in _CLASSES:
                found.append(word)
        else:
            found.append(f"-{word[1:]}" if word[0] == "/" else word)
    return found


def event_key(provider: str, event_id: str) -> str:
    """`@sysmon|1`: the event by the name that texts use; empty where it has no number."""
    if not event_id.isdecimal() or len(event_id) > 6:
        return ""
    name = provider.strip().lower()
    log = "security" if name.endswith("eventlog") and event_id == _CLEARED else _LOGS.get(name)
    if log is None:
        log = re.sub(r"[^a-z0-9]+", "", name.removeprefix("microsoft-windows-"))[:32]
    return f"@{log}|{event_id}"


def said_key(event: str) -> str:
    """The key of `sysmon|1` as a text names it."""
    return f"@{event.strip().lower()}"


@functools.cache
def event_words() -> dict[str, tuple[str, ...]]:
    """{key: what such an event says has happened}, for what is common on Windows."""
    text = (resources.files(__package__) / "events.csv").read_text(encoding="utf-8")
    return {
        f"@{row['log']}|{row['event']}": tuple(words(row["says"].lower())) for row in csv.DictReader(text.splitlines())
    }
