"""What the knowledge model says of episodes before any log row with labels was seen: the encoder's start.

What does not belong here: the model (`knowledge.py`), and what an episode's words are (`documents.py`).
"""

# K techniques
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.techniques.documents import episode_document
from rlstir_core.investigator.techniques.knowledge import Knowledge
from rlstir_core.results.layout import Layout


def priors(
    layout: Layout, knowledge: Knowledge | None, hosts: Sequence[str]
) -> Callable[[EpisodeInfo], NDArray[np.float32]] | None:
    """A function from an episode to (K,); None without public technique texts. `hosts` are whose names are hidden."""
    if knowledge is None:
        return None

    def told(info: EpisodeInfo) -> NDArray[np.float32]:
        return np.asarray(knowledge.prior([episode_document(layout, info, hosts)])[0], np.float32)

    return told
