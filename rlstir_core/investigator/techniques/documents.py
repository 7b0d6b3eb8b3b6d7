"""What a log says, as one bag of words: every field of its rows, but no identifier, name, time or place in the lab.

Rows that hold a command, a script, a service or a task weigh more than the rest, and kinds of rows that repeat
themselves weigh less: of a full log most rows are background. What does not belong here: what words tell
(`knowledge.py`), and the texts that an encoder reads (`reading/`).
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import log
from typing import Any

import msgspec

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.hostlogs.windows.event import flatten
from rlstir_core.investigator.reading.names import hidden_names
from rlstir_core.investigator.reading.text import HiddenNames, cleaned
from rlstir_core.investigator.techniques.wording import event_key, words
from rlstir_core.results.layout import Layout

Document = dict[str, float]  # {word: how much of it is said}
COLUMNS = ("channel", "provider", "event_id", "exe", "cmdline", "message", "fields_json")
_NAMING = ("host", "host_said", "user")
_BLOCK = 1_024
_KINDS_AT_MOST = 1_024
_ROWS_OF_A_KIND = 512  # distinct ones
_FIELD_CHARS = 6_000
_FIELDS_AT_MOST = 128
_KEPT = 20_000  # values whose words are remembered
_TELLING = 10.0  # weight of rows that hold a command, chosen on two corpora that nothing was trained on
_REPEATING = 0.5  # a kind of n rows weighs as much as n to this power fewer
_ANY = msgspec.json.Decoder(dict[str, Any])


def _names_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Fields that name times, identifiers, users, hosts, parents or places of the lab, or that say the same of every row.
_SKIPPED = re.compile(
    r"time|guid|hash|user|host|domain|computer|workstation|^parent|currentdirectory|rulename|sid$|id$|port$|ip$|"
    r"address|handle|calltrace|creation|key$|^sid|membername|accountname|^client|version$|^_|^@|^tags?$",
    re.IGNORECASE,
)
_ENVELOPE = _names_of(
    """system recordheader renderinginfo #attributes xmlns port channel sourcename providername eventid recordnumber
    severity severityvalue keywords eventtype task opcode opcodevalue level sourcemodulename sourcemoduletype category
    accounttype error_evt_unresolved eventcode logname type index source sourcetype company product signature
    signaturestatus signed description integritylevel tokenelevationtype mandatorylabel ecs agent log input
    message"""
)
_COMMAND = _names_of(
    """commandline cmdline scriptblocktext payload servicefilename imagepath taskcontent taskcontentnew contextinfo
    hostapplication"""
)
_SAYS_COMMANDS = frozenset(("@powershell|800", "@powershell|4103", "@powershell|4104"))
_CODE = re.compile(r"(?<![a-z0-9])0x[0-9a-f]{1,8}(?![a-z0-9])", re.ASCII)
_SPELLED = frozenset(("Name", "@Name", "#text", "text"))  # a field whose name is a value
_NUMBERED = re.compile(r"[.#]\d{1,6}$")
_RENDERED = ("Message", "message")
# Lines that every PowerShell event has beside its command.
_ENGINE = re.compile(
    r"^\s*(?:severity|host ?name|host ?version|host ?id|engine ?version|runspace ?id|pipeline ?id|command ?type|"
    r"command ?path|script ?name|sequence ?number|user ?id|user|shell ?id|connected user|detailsequence|detailtotal|"
    r"provider ?name|newproviderstate|newenginestate|previousenginestate|new command state)\s*[=:][^\n]*",
    re.IGNORECASE | re.MULTILINE,
)
_ENGINE_KEY = re.compile(r"^\s*(?:host ?application|command ?line|command ?name)\s*=", re.IGNORECASE | re.MULTILINE)


def text_document(text: str, events: Iterable[str] = ()) -> Document:
    """The words of a text, and the keys of the events that it names."""
    counts = Counter(_said(text.lower(), _NOBODY))
    found: Document = {word: 1.0 + log(n) for word, n in counts.items()}
    return found | dict.fromkeys(events, 1.0)


def episode_document(layout: Layout, info: EpisodeInfo, hosts: Iterable[str]) -> Document:
    """The document of an episode's log rows; `hosts` are names that are hidden beside the episode's own.

    UpstreamMissing where the episode's rows were not made.
    """
    with opened_rows(layout, info.host, info.own_id) as file:
        reader = RowWordsReader(hidden_names(file, hosts))
        return rows_document(
            reader(row)
            for batch in file.iter_batches(_BLOCK, columns=list(COLUMNS), use_threads=False)
            for row in batch.to_pylist()
        )


class RowWords(msgspec.Struct, frozen=True):
    """What one row says."""

    kind: str  # the key of its event, or its channel
    telling: bool  # it holds a command
    words: tuple[str, ...]

    @property
    def document(self) -> Document:
        found: Document = {word: 1.0 + log(n) for word, n in Counter(self.words).items()}
        return found | ({self.kind: 1.0} if self.kind.startswith("@") else {})


def rows_document(rows: Iterable[RowWords]) -> Document:
    """The document of many rows: distinct ones count, by kind."""
    kinds: dict[tuple[str, bool], set[tuple[str, ...]]] = {}
    for row in rows:
        of = (row.kind, row.telling)
        if of not in kinds and len(kinds) >= _KINDS_AT_MOST:
            of = ("", row.telling)
        distinct = kinds.setdefault(of, set())
        if len(distinct) < _ROWS_OF_A_KIND:
            distinct.add(row.words)
    found: Document = {}
    for (kind, telling), distinct in sorted(kinds.items()):
        counts = Counter(word for each in distinct for word in each)
        if kind.startswith("@"):
            counts[kind] = len(distinct)
        weight = len(distinct) ** -_REPEATING * (_TELLING if telling else 1.0)
        for word, n in counts.items():
            found[word] = found.get(word, 0.0) + weight * (1.0 + log(n))
    return found


class RowWordsReader:
    """Rows of Parquet to their words; a value that comes again is read once."""

    def __init__(self, names: HiddenNames) -> None:
        self._names = names
        self._kept: dict[str, tuple[str, ...]] = {}

    def __call__(self, row: Mapping[str, str]) -> RowWords:
        """`row` has the columns of `COLUMNS`."""
        if row["channel"] not in ("sysmon", "evtx"):
            said = self._words(row["exe"]), self._words(row["cmdline"]), self._words(row["message"])
            return RowWords(row["channel"], len(row["cmdline"]) > 1, tuple(word for each in said for word in each))
        key = event_key(row["provider"], row["event_id"])
        fields = list(_fields(row["fields_json"]))
        telling = key in _SAYS_COMMANDS or any(name in _COMMAND for name, _ in fields)
        found: list[str] = []
        for _, value in fields:
            found += self._words(value, engine=key.startswith("@powershell"))
        return RowWords(key or row["channel"], telling, tuple(found))

    def _words(self, value: str, *, engine: bool = False) -> tuple[str, ...]:
        given = value = value[:_FIELD_CHARS]
        known = self._kept.get(given)
        if known is None:
            if engine:
                value = _ENGINE_KEY.sub(" ", _ENGINE.sub(" ", value))
            known = tuple(_said(value.lower(), self._names))
            if len(self._kept) < _KEPT:
                self._kept[given] = known
        return known


def _said(lower: str, names: HiddenNames) -> list[str]:
    """The words of a text, and the access masks and codes that rules ask for."""
    return words(cleaned(lower, names)) + _CODE.findall(lower)


def _fields(raw: str) -> Iterator[tuple[str, str]]:
    """(name, value) of what a Windows event says itself, in whatever form it was exported."""
    try:
        record = _ANY.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return
    event = record.get("Event")
    own = event if isinstance(event, dict) else record
    data = {name: value for name, value in own.items() if name.lower() not in _ENVELOPE}
    found = [
        (name, value)
        for key, value in islice(_level(data), _FIELDS_AT_MOST)
        if isinstance(value, str) and len(value) > 1 and (name := _field_name(key))
    ]
    if not found:  # some shippers keep the rendered text alone
        found = [("rendered", record[name]) for name in _RENDERED if isinstance(record.get(name), str)][:1]
    yield from found


def _level(data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """All fields in one level; what holds plain values needs none of the care that other forms ask for."""
    for name, value in data.items():
        if not isinstance(value, (dict, list)):
            yield name, value
        elif isinstance(value, dict) and not any(
            isinstance(inner, (dict, list)) or key in _SPELLED for key, inner in value.items()
        ):
            yield from value.items()
        else:
            yield from flatten([{name: value}]).items()


@functools.lru_cache(maxsize=4_096)
def _field_name(key: str) -> str:
    """The field's name in lower case, without its parents and its number; empty where it says nothing that counts."""
    name = _NUMBERED.sub("", key).rpartition(".")[2].lower()
    return "" if name in _ENVELOPE or _SKIPPED.search(name) is not None else name


_NOBODY = HiddenNames()
