"""Public technique texts (what attackers type, what rules look for, how it is told) as one table.

Two forms are read: JSON lines (`source id platform techniques kind text events`, plain or gzip) and Atomic Red
Team's YAML, a file per technique. The texts quote attack commands; they are data and are never executed. What
does not belong here: training on them.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from rlstir_core.atomic import replacing
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.hostlogs.attack.techniques import current_id, in_space

_MAX_FILE = 256 << 20  # bytes, after decompression
_MAX_YAML = 4 << 20
_MAX_TEXT = 4_000  # characters of one text
_ARGUMENT = re.compile(r"#\{([\w.-]{1,80})\}")
_KINDS = ("command", "detection", "prose")
_SCHEMA = pa.schema(
    {
        "source": pa.string(),
        "id": pa.string(),
        "platform": pa.string(),
        "kind": pa.string(),
        "text": pa.string(),
        "techniques": pa.list_(pa.string()),  # ids of now
        "labels": pa.list_(pa.string()),  # those in the label space, rolled up
        "events": pa.list_(pa.string()),
    }
)


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """One text and the techniques that it speaks of."""

    source: str
    id: str
    techniques: tuple[str, ...]
    kind: str
    text: str
    platform: str = ""
    events: tuple[str, ...] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import read and wrote."""

    n_texts: int
    n_without_label: int  # texts whose techniques all lie outside the label space
    per_source: dict[str, int]
    faults: tuple[str, ...]


def import_knowledge(paths: list[Path], out: Path) -> Imported:
    """Reads every text under `paths` (files or folders) into the Parquet table `out`, in a fixed order.

    StoreError where nothing can be read; a line or file that cannot be used is counted and named.
    """
    texts: list[Text] = []
    faults: list[str] = []
    for path in _files(paths):
        texts += _yaml_texts(path, faults) if path.suffix in (".yaml", ".yml") else _json_texts(path, faults)
    if not texts:
        first = f" ({faults[0]})" if faults else ""
        raise StoreError(
            f"no technique text in {', '.join(map(str, paths))}{first}; name JSONL files or a folder of YAML"
        )
    texts = _merged(texts)
    labels = [tuple(dict.fromkeys(label for t in text.techniques if (label := in_space(t)))) for text in texts]
    columns = {
        name: [list(v) if isinstance(v := getattr(text, name), tuple) else v for text in texts]
        for name in _SCHEMA.names
        if name != "labels"
    } | {"labels": [list(each) for each in labels]}
    with replacing(out) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary, compression="zstd")
    per_source: dict[str, int] = {}
    for text in texts:
        per_source[text.source] = per_source.get(text.source, 0) + 1
    return Imported(
        n_texts=len(texts),
        n_without_label=sum(not each for each in labels),
        per_source=per_source,
        faults=tuple(faults),
    )


def _merged(texts: list[Text]) -> list[Text]:
    """Each text once, with all that is known of it, in a fixed order."""
    unique: dict[tuple[str, str, str, str], Text] = {}
    for text in texts:
        key = (text.source, text.id, text.kind, text.text)
        before = unique.get(key, text)
        unique[key] = msgspec.structs.replace(
            text,
            techniques=tuple(sorted({*before.techniques, *text.techniques})),
            events=tuple(sorted({*before.events, *text.events})),
        )
    return [unique[key] for key in sorted(unique)]


def _files(paths: list[Path]) -> list[Path]:
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.name.endswith((".jsonl", ".jsonl.gz", ".yaml", ".yml")))
        elif path.is_file():
            found.append(path)
        else:
            raise StoreError(f"{path} is not there; name a file or a folder")
    return found


def _json_texts(path: Path, faults: list[str]) -> Iterator[Text]:
    decoder = msgspec.json.Decoder(Text)
    for number, line in enumerate(_read(path).split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            given = decoder.decode(line)
            if given.kind not in _KINDS:
                raise ConfigError(f"kind is not one of {', '.join(_KINDS)}")
            yield _checked(given)
        except (msgspec.MsgspecError, ConfigError, UnicodeDecodeError) as error:
            faults.append(f"{path.name} line {number}: {error}")


def _yaml_texts(path: Path, faults: list[str]) -> Iterator[Text]:
    """One command per test and executor, its arguments filled with their defaults, and the test's description."""
    try:
        if path.stat().st_size > _MAX_YAML:
            raise ConfigError(f"over {_MAX_YAML} bytes")
        tree = yaml.load(path.read_bytes(), Loader=_Loader)  # noqa: S506 - the safe loader, less aliases
        technique = current_id(str(tree["attack_technique"]))
        for number, test in enumerate(tree["atomic_tests"]):
            yield from _of_test(technique, number, test)
    except (OSError, yaml.YAMLError, RecursionError, ConfigError, KeyError, TypeError, AttributeError, ValueError) as e:
        if path.name.startswith("T"):  # other YAML lies beside the techniques
            faults.append(f"{path.name}: {type(e).__name__} {str(e).splitlines()[0] if str(e) else ''}"[:200])


def _of_test(technique: str, number: int, test: dict[str, Any]) -> Iterator[Text]:
    given = test.get("input_arguments") or {}
    defaults = {str(name): str((argument or {}).get("default", "")) for name, argument in given.items()}
    platform = "windows" if "windows" in (test.get("supported_platforms") or ()) else "linux"
    executor = test.get("executor") or {}
    for part, key in (("c", "command"), ("x", "cleanup_command"), ("s", "steps")):
        if text := str(executor.get(key) or "").strip():
            filled = _ARGUMENT.sub(lambda match: defaults.get(match[1], match[0]), text)
            yield _checked(
                Text(
                    source="atomic",
                    id=f"{technique}#{number}{part}",
                    techniques=(technique,),
                    kind="command",
                    text=filled,
                    platform=platform,
                )
            )
    if prose := f"{test.get('name') or ''}. {test.get('description') or ''}".strip(". \n"):
        yield _checked(
            Text(
                source="atomic",
                id=f"{technique}#{number}d",
                techniques=(technique,),
                kind="prose",
                text=prose,
                platform=platform,
            )
        )


def _checked(text: Text) -> Text:
    return msgspec.structs.replace(
        text,
        techniques=tuple(dict.fromkeys(current_id(each) for each in text.techniques)),
        text=text.text[:_MAX_TEXT],
    )


def _read(path: Path) -> bytes:
    try:
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as handle:
            data = handle.read(_MAX_FILE + 1)
    except (OSError, EOFError) as error:
        raise StoreError(f"{path} cannot be read ({error}); name a JSONL file, plain or gzip") from None
    if len(data) > _MAX_FILE:
        raise StoreError(f"{path} holds over {_MAX_FILE} bytes; split it")
    return bytes(data)


class _Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """Safe YAML without aliases: a few of them can stand for billions of values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise ConfigError("an alias")
        return super().compose_node(parent, index)
