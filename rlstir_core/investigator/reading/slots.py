"""The places in and around a row in which a text may stand.

What does not belong here: the texts (`view.py`).
"""

# N log rows, P processes, S slots of a row
from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SLOTS: Final = ("row", "process", "parent", "grandparent", "great-grandparent", "before")


def slots(
    text_N: NDArray[np.int32],
    process_N: NDArray[np.int32],
    before_N: NDArray[np.int32],
    text_P: NDArray[np.int32],
    parent_P: NDArray[np.int32],
) -> NDArray[np.int32]:
    """The texts in and around every row, in the order of `SLOTS`; -1 where there is none. (N, S)"""
    text_P, parent_P = np.append(text_P, -1).astype(np.int32), np.append(parent_P, -1)  # nobody has no parent
    found = [text_N]
    for _ in range(4):
        found.append(text_P[process_N])
        process_N = parent_P[process_N]
    found.append(np.where(before_N >= 0, text_N[before_N], -1).astype(np.int32))
    return np.stack(found, axis=1)
