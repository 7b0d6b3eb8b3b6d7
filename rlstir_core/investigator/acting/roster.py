"""Every policy that investigates, by its name: who they are, and which of them are fitted; other people's agents.

What does not belong here: fitting them (`training.py`), and judging them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rlstir_core.arrays import Array
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.policies.oracles import EvidenceOracle, LabelOracle
from rlstir_core.investigator.policies.playbook import Playbook
from rlstir_core.investigator.policies.program import PREFIX, Declaration, Program
from rlstir_core.investigator.policies.reading import Parts, Reads
from rlstir_core.investigator.policies.simple import AllAtOnce, CheapestFirst, NoQuery, RandomLegal
from rlstir_core.investigator.queries.catalogue import ACTIONS, costs
from rlstir_core.investigator.soc.detecting import ATTACK, TAMPERED, TECHNIQUES, FrozenDetector
from rlstir_core.investigator.soc.evidence import Evidence
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.soc.observation import LOG_ROWS, slices
from rlstir_core.investigator.techniques.labels import LABELS

PPO: Final = "ppo"
FITTED: Final = ("fixed_order", "greedy", "learned_greedy")
TUNED: Final = ("random", "cheapest_first", "playbook")  # fitted on nothing, but they stop by a tuned rule
NEVER: Final = ("no_query", "all_at_once")
VARIANTS: Final = {  # what each of them shows when it is set against PPO
    "ppo_supervised_only": "no RL after imitating the learned greedy policy",
    "ppo_warm_start": "PPO begins by imitating the learned greedy policy",
    "ppo_no_shaping": "no shaping, and paid at the end alone",
}
ORACLES: Final[dict[str, Callable[[SocLanes], Policy]]] = {  # who look at labels, in the lanes that they act in
    EvidenceOracle.name: lambda lanes: EvidenceOracle(Evidence(lanes)),
    LabelOracle.name: lambda lanes: LabelOracle(lanes, lanes.rewards.price),
}


def reads_of(n_answers: int, width: int) -> Parts:
    """How the observations of investigations are read."""
    parts = slices(n_answers, width)
    names = [action.name for action in ACTIONS]
    return Parts(names, costs(), belief=parts["belief"], asked=parts["asked"], log_scale=LOG_ROWS)


def unfitted(name: str, reads: Reads) -> Policy:
    """A policy that is fitted on nothing."""
    made: dict[str, Callable[[], Policy]] = {
        "random": RandomLegal,
        "no_query": NoQuery,
        "cheapest_first": lambda: CheapestFirst(reads),
        "all_at_once": lambda: AllAtOnce(reads),
        "playbook": lambda: Playbook(reads),
    }
    return made[name]()


def program(name: str, belief: FrozenDetector, lanes: SocLanes) -> Program:
    """Somebody else's agent, `exec:COMMAND`, for these lanes."""
    reads, sentences = reads_of(belief.n_answers, belief.width), [action.sentence for action in ACTIONS]
    return Program(name.removeprefix(PREFIX), reads, lanes, sentences, techniques=LABELS)


def overruled(p_K: Array, said: Declaration) -> Array:
    """The answers with those in their place that were declared."""
    found = p_K.copy()
    for place, p in ((ATTACK, said.attack), (TAMPERED, said.tampered)):
        if p is not None:
            found[place] = p
    for technique, p in said.techniques.items():
        found[TECHNIQUES + LABELS.index(technique)] = p
    return found
