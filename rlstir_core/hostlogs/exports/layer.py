"""The techniques of a store as an ATT&CK Navigator layer (format 4.5): what its episodes are labelled with.

The parts of the format are here for other layers too. What does not belong here: what models found
(`found_layer.py`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from rlstir_core.atomic import write_json
from rlstir_core.hostlogs.attack.techniques import ATTACK_VERSION, in_space, techniques
from rlstir_core.hostlogs.exports.rows import log_files
from rlstir_core.results.layout import Layout

LAYER_VERSION = "4.5"
_NAVIGATOR = "5.1.0"
_ATTACK = "18"
_GREY = "#d9d9d9"
_COLOURS = ("#fff7bc", "#d95f0e")


def export_layer(layout: Layout, out: Path, *, hosts: Iterable[str] = ()) -> dict[str, int]:
    """Writes the layer and gives {technique: episodes that carry it}; techniques that none carries are grey.

    UpstreamMissing where there are no log rows.
    """
    episodes: dict[str, set[str]] = defaultdict(set)
    rows: dict[str, int] = defaultdict(int)
    n_files = 0
    for path in log_files(layout, hosts):
        n_files += 1
        column = pq.ParquetFile(path).read(columns=["label_ttp"])["label_ttp"].combine_chunks()
        for entry in pc.list_flatten(column).value_counts().to_pylist():
            episodes[entry["values"]].add(str(path))
            rows[entry["values"]] += entry["counts"]
    counts = {technique: len(found) for technique, found in sorted(episodes.items())}
    write_json(out, _layer(counts, rows, n_files))
    return counts


def _layer(counts: dict[str, int], rows: dict[str, int], n_files: int) -> dict[str, Any]:
    cells = [
        cell(
            technique,
            n,
            f"label of {n} of {n_files} episodes"
            + ("" if in_space(technique) == technique else "; outside the label space"),
            {"log rows": str(rows[technique])},
        )
        for technique, n in counts.items()
    ]
    cells += [
        grey_cell(technique, "no episode carries this label") for technique in techniques() if technique not in counts
    ]
    return layer(
        "RL-STIR labels",
        f"Techniques that {n_files} episodes with logs are labelled with (ATT&CK {ATTACK_VERSION}). "
        "A label speaks of a whole file or a stretch of time, not of single events. Grey: in the label space, but not "
        "labelled.",
        cells,
        most=max(counts.values(), default=1),
        grey="in the label space, not labelled",
    )


def cell(technique: str, score: float, comment: str, more: Mapping[str, str]) -> dict[str, Any]:
    """A technique with a colour."""
    metadata = [{"name": name, "value": value} for name, value in more.items()]
    return {"techniqueID": technique, "score": score, "enabled": True, "comment": comment, "metadata": metadata}


def grey_cell(technique: str, comment: str) -> dict[str, Any]:
    """A technique of which nothing is said."""
    return {"techniqueID": technique, "enabled": False, "color": _GREY, "comment": comment, "metadata": []}


def layer(name: str, description: str, cells: list[dict[str, Any]], *, most: float, grey: str) -> dict[str, Any]:
    """A layer of the format; `most` is the score of the darkest cell, `grey` says what grey means."""
    return {
        "name": name,
        "versions": {"attack": _ATTACK, "navigator": _NAVIGATOR, "layer": LAYER_VERSION},
        "domain": "enterprise-attack",
        "description": description,
        "sorting": 3,
        "hideDisabled": False,
        "techniques": sorted(cells, key=lambda cell: str(cell["techniqueID"])),
        "gradient": {"colors": list(_COLOURS), "minValue": 0, "maxValue": most},
        "legendItems": [{"label": grey, "color": _GREY}],
        "showTacticRowBackground": False,
        "selectTechniquesAcrossTactics": True,
    }
