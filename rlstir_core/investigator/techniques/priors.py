"""What the knowledge model says of episodes before any log row with labels was seen: the encoder's start.

What does not belong here: the model (`knowledge.py`), and what an episode's words are (`documents.py`).
"""

# E episodes, K techniques
from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.investigator.study import InvestigatorStudy
from rlstir_core.investigator.techniques.documents import episode_document
from rlstir_core.investigator.techniques.knowledge import Knowledge, fit_knowledge


def priors(
    study: InvestigatorStudy, knowledge: Knowledge | None = None
) -> Callable[[Sequence[EpisodeInfo]], NDArray[np.float32]] | None:
    """A function from episodes to (E, K); None where no public technique texts were imported."""
    model = knowledge or fit_knowledge(study.layout)
    if model is None:
        return None

    def told(episodes: Sequence[EpisodeInfo]) -> NDArray[np.float32]:
        documents = [episode_document(study.layout, info, study.split.hosts) for info in episodes]
        return np.asarray(model.prior(documents), np.float32)

    return told
