"""The table of episodes: metadata that say how each was recorded, and features that were measured in it.

What does not belong here: what metadata give away (`checks/baselines.py`), and which episodes are alike
(`checks/duplicates.py`).
"""

# E episodes of the split, L lines of the table, F features
from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from rlstir_core.arrays import Floats, Ints
from rlstir_core.audit.columns import ColumnNames
from rlstir_core.audit.encode import AuditNames, is_name, is_number, names_of, numbers_of
from rlstir_core.audit.material import AboutEpisodes
from rlstir_core.audit.tables import AuditedTable
from rlstir_core.text import shown

_MOST_VALUES = 10_000_000  # of features, in memory


def read_about(file: AuditedTable, naming: ColumnNames, split: AuditNames) -> tuple[AboutEpisodes, dict[str, str]]:
    """What it says of the episodes of the split, and what each column was taken for."""
    own = naming.need("episode", file.names, file.where)
    others = [name for name in file.names if name != own]
    table = file.read([own], guessed=others)
    code_L, names = names_of(table.column(own), f"column {shown(own)} of {file.where}")
    place_V = names.places_in(split)
    place_L = np.append(place_V, -1)[code_L]
    first = np.full(len(split), -1, np.int64)  # the first line of each episode
    known = np.flatnonzero(place_L >= 0)[::-1]
    first[place_L[known]] = known
    read_as, metadata, feature_names = {own: "episode"}, {}, []
    for name in others:
        kind = table.column(name).type
        if pa.types.is_null(kind):
            continue
        labels = naming.find("label", [name]) is not None
        if labels:  # the answer itself is no metadata
            continue
        if is_number(kind) and not naming.is_metadata(name):
            feature_names.append(name)
        elif is_number(kind) or pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
            metadata[name] = _placed(numbers_of(table.column(name), _where(name, file)), first, np.nan)
        elif is_name(kind):
            metadata[name] = _placed(names_of(table.column(name), _where(name, file))[0], first, -1)
    most = max(1, _MOST_VALUES // max(1, len(split)))
    kept = feature_names[:most]
    features = np.full((len(split), len(kept)), np.nan, order="F")  # worked on column by column
    for f, name in enumerate(kept):
        features[:, f] = _placed(numbers_of(table.column(name), _where(name, file)), first, np.nan)
    read_as |= dict.fromkeys(metadata, "metadata") | dict.fromkeys(kept, "feature")
    about = AboutEpisodes(
        metadata=metadata,
        features_EF=features,
        feature_names=tuple(kept),
        described_E=first >= 0,
        n_left_out=len(feature_names) - len(kept),
        n_unknown=int((place_V < 0).sum()),
        not_used=tuple(name for name in others if name not in read_as),
    )
    return about, read_as


def _where(name: str, file: AuditedTable) -> str:
    return f"column {shown(name)} of {file.where}"


def _placed(value_L: Any, first: Ints, missing: float) -> Floats | Ints:
    """Values of lines as values of episodes."""
    found: Floats | Ints = np.append(value_L, np.asarray(missing, value_L.dtype))[first]
    return found
