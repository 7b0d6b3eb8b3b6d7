"""What learning to act leaves behind: who was fitted on what, in JSON beside the files of the belief and the policies.

What does not belong here: learning.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from rlstir_core.atomic import write_json
from rlstir_core.errors import CheckpointError, UpstreamMissing
from rlstir_core.investigator.acting.roster import FITTED, NEVER, TUNED, reads_of, unfitted
from rlstir_core.investigator.belief.detector import Belief, read_belief
from rlstir_core.investigator.lanes import Policy
from rlstir_core.investigator.policies.files import load_fitted
from rlstir_core.investigator.policies.stopping import Stopping, StopRule
from rlstir_core.investigator.ppo_policy import PpoPolicy, load_policy
from rlstir_core.investigator.queries.catalogue import ACTIONS
from rlstir_core.investigator.soc.alerts import AlertRule
from rlstir_core.investigator.soc.observation import observation_width
from rlstir_core.investigator.soc.reward import Rewards
from rlstir_core.learning.container import MAX_JSON_BYTES, opened, verified_sidecar
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout

FORMAT = "rlstir-acting-1"
BELIEF = "belief.safetensors"
_STAGE = "ppo_policy"


def fitted_file(name: str) -> str:
    return f"policy_{name}.safetensors"


def ppo_file(seed: int, name: str = "ppo_policy") -> str:
    return f"{name}_{seed}.safetensors"


class ActingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was learnt from."""

    n_cases: int
    n_hosts: int
    n_choosing: int
    n_choosing_hosts: int
    n_techniques: int  # that the belief tells apart
    alert_auroc: float | None  # of the alert's score alone, on what was learnt from
    mean_return: dict[str, float]  # of each policy on the cases that chose its stop rule
    ppo_curve: dict[str, list[float | None]]  # by seed: mean return of each update


class ActingCheckpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in `ppo_policy.ckpt.json`."""

    format: str = FORMAT
    recipe: str
    preset: str
    seed: int
    seeds: tuple[int, ...]  # that PPO was trained from
    variants: tuple[str, ...] = ()  # of PPO
    input_sha256: str
    budget: float
    alert_low: float
    alert_high: float
    rewards: dict[str, float]
    stop_rules: dict[str, StopRule]
    files: dict[str, str]  # name: sha256
    facts: ActingFacts

    @property
    def alerts(self) -> AlertRule:
        return AlertRule(low=self.alert_low, high=self.alert_high)


@dataclass(frozen=True, kw_only=True)
class Actors:
    """The belief and all policies of a checkpoint, ready to act."""

    checkpoint: ActingCheckpoint
    belief: Belief
    policies: dict[str, Policy]  # but PPO's
    ppo: list[PpoPolicy]  # by the seed that each was trained from
    variants: dict[str, list[PpoPolicy]]  # the same, of other ways to train
    rewards: Rewards


def write_acting(layout: Layout, checkpoint: ActingCheckpoint) -> None:
    """Writes the JSON; the files that it names are there already."""
    write_json(layout.acting(checkpoint.recipe), msgspec.to_builtins(checkpoint))


def read_acting(layout: Layout, recipe: str) -> ActingCheckpoint:
    """The checkpoint of a recipe; UpstreamMissing where there is none, CheckpointError where it is damaged."""
    path = layout.acting(recipe)
    again = f"make it with: {how_to_make(_STAGE, recipe)}"
    try:
        with opened(path, MAX_JSON_BYTES) as handle:
            found = msgspec.json.decode(handle.read(), type=ActingCheckpoint)
    except FileNotFoundError:
        raise UpstreamMissing(f"{path} is missing; {again}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CheckpointError(f"{path} is damaged ({str(error).splitlines()[0][:120]}); {again}") from None
    if found.format != FORMAT:
        raise CheckpointError(f"{path} has format {found.format[:40]!r}, which this version does not read; {again}")
    return found


def open_actors(layout: Layout, checkpoint: ActingCheckpoint) -> Actors:
    """Reads the belief and the policies; CheckpointError names a file that is not the one that was written."""
    folder = layout.acting(checkpoint.recipe).parent
    for name, sha256 in checkpoint.files.items():
        verified_sidecar(folder, Path(name).name, sha256)
    belief = read_belief(folder / BELIEF)
    reads, width = reads_of(belief.n_answers, belief.width), observation_width(belief.n_answers, belief.width)
    key = checkpoint.input_sha256
    policies: dict[str, Policy] = {name: unfitted(name, reads) for name in NEVER}
    for name in TUNED:
        policies[name] = Stopping(unfitted(name, reads), reads, checkpoint.stop_rules[name])
    for name in FITTED:
        policies[name] = load_fitted(folder / fitted_file(name), reads, key=key, width=width)

    def learnt(*name: str) -> list[PpoPolicy]:
        files = [folder / ppo_file(seed, *name) for seed in checkpoint.seeds]
        return [load_policy(file, key=key, seen=width, actions=len(ACTIONS)) for file in files]

    return Actors(
        checkpoint=checkpoint,
        belief=belief,
        policies=policies,
        ppo=learnt(),
        variants={name: learnt(name) for name in checkpoint.variants},
        rewards=Rewards(**checkpoint.rewards),
    )
