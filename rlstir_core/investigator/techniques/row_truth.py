"""What the truth says of single rows: opened for the side that is being learnt or judged, no other.

Only recordings of whole episodes know it (their truth names times and processes); imported logs are labelled by the
file. What does not belong here: what an episode carries as a whole (`labels.py`), anything that a model sees.
"""

# N log rows, M pairs of a row and a technique
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.hostlogs.attack.techniques import in_space
from rlstir_core.hostlogs.store import opened_rows
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.results.layout import Layout

IMPORTED = "imported-logs"  # the profile of logs of which nobody says whether they are benign
_PLACE = {label: k for k, label in enumerate(LABELS)}


@dataclass(frozen=True, kw_only=True)
class RowTruth:
    """Of the rows of an episode, in the order of their table."""

    attack_N: NDArray[np.bool_]  # a technique was running, in that process
    row_M: NDArray[np.int64]
    technique_M: NDArray[np.int64]  # of the label space
    tampered_N: NDArray[np.bool_]  # it stands in a tamper span


def says_rows(info: EpisodeInfo) -> bool:
    """Whether the truth of this episode speaks of single rows."""
    return info.profile != IMPORTED


def row_truth(layout: Layout, info: EpisodeInfo) -> RowTruth:
    """The truth of an episode's rows; UpstreamMissing where they were not made."""
    with opened_rows(layout, info.host, info.own_id) as file:
        table = file.read(columns=["label_ttp", "tamper_tag"], use_threads=False)
    labels = table["label_ttp"].combine_chunks()
    n_N = np.nan_to_num(labels.value_lengths().to_numpy(zero_copy_only=False)).astype(np.int64)
    said = labels.flatten().dictionary_encode()
    place = np.array([_PLACE.get(in_space(technique) or "", -1) for technique in said.dictionary.to_pylist()], np.int64)
    technique_M = place[said.indices.to_numpy()] if len(place) else np.zeros(0, np.int64)
    row_M = np.repeat(np.arange(len(table)), n_N)
    inside_M = technique_M >= 0
    return RowTruth(
        attack_N=n_N > 0,
        row_M=row_M[inside_M],
        technique_M=technique_M[inside_M],
        tampered_N=np.array([bool(tag) for tag in table["tamper_tag"].to_pylist()], np.bool_),
    )
