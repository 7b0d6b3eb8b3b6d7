"""Public technique texts (what attackers type, what rules look for, how it is told) as one table.

Files are read by what they hold: JSON lines, and clones of the projects that publish such texts (Atomic Red Team,
ATT&CK's STIX, Splunk security_content, CAR, stockpile, sysmon-modular). The texts quote attack commands; they are data
and are never executed. What does not belong here: the forms (`technique_texts/`), and training on them.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from rlstir_core.atomic import replacing
from rlstir_core.errors import StoreError
from rlstir_core.hostlogs.attack.techniques import in_space
from rlstir_core.importers.technique_texts.json_lines import json_texts
from rlstir_core.importers.technique_texts.project_yaml import yaml_texts
from rlstir_core.importers.technique_texts.stix import Bundles
from rlstir_core.importers.technique_texts.sysmon_rules import sysmon_texts
from rlstir_core.importers.technique_texts.text import Text

_TEXTS_AT_MOST = 500_000
_ENDINGS = (".jsonl", ".jsonl.gz", ".yaml", ".yml", ".json", ".xml")
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
        "tactics": pa.list_(pa.string()),
    }
)


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import read and wrote."""

    n_texts: int
    n_without_label: int  # texts whose techniques all lie outside the label space
    n_techniques: int
    per_source: dict[str, int]
    faults: tuple[str, ...]


def import_knowledge(paths: list[Path], out: Path) -> Imported:
    """Reads every text under `paths` (files or folders) into the Parquet table `out`, in a fixed order.

    StoreError where nothing can be read; a line or file that cannot be used is counted and named.
    """
    texts: list[Text] = []
    faults: list[str] = []
    bundles = Bundles()
    for path in _files(paths):
        if path.suffix == ".json":
            bundles.add(path, faults)
        elif path.suffix == ".xml":
            texts += sysmon_texts(path, faults)
        else:
            texts += yaml_texts(path, faults) if path.suffix in (".yaml", ".yml") else json_texts(path, faults)
        if len(texts) > _TEXTS_AT_MOST:
            raise StoreError(f"{path}: over {_TEXTS_AT_MOST} texts; name fewer files")
    texts += bundles.texts(faults)
    if not texts:
        first = f" ({faults[0]})" if faults else ""
        raise StoreError(
            f"no technique text in {', '.join(map(str, paths))}{first}; name JSONL files, or clones of Atomic Red "
            "Team, ATT&CK (STIX), Splunk security_content, CAR, stockpile or sysmon-modular"
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
    return Imported(
        n_texts=len(texts),
        n_without_label=sum(not each for each in labels),
        n_techniques=len({technique for text in texts for technique in text.techniques}),
        per_source=dict(sorted(Counter(text.source for text in texts).items())),
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
            tactics=tuple(sorted({*before.tactics, *text.tactics})),
        )
    return [unique[key] for key in sorted(unique)]


def _files(paths: list[Path]) -> list[Path]:
    found = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.name.endswith(_ENDINGS) and p.is_file())
        elif path.is_file():
            found.append(path)
        else:
            raise StoreError(f"{path} is not there; name a file or a folder")
    return found
