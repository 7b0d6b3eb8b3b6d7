"""What the lab's own checks said of a generated store, kept so that training can refuse what leaks.

What does not belong here: the checks (`lab/leakage/`); nothing that trains imports the lab.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rlstir_core.atomic import canonical_sha256, sweep, write_json
from rlstir_core.errors import RlstirError
from rlstir_core.remedies import how_to_make
from rlstir_core.results.layout import Layout
from rlstir_core.results.ledger import held_sha256
from rlstir_core.results.versions import version


class LabLeaks(RlstirError):
    """A generated store whose content gives the answers away."""


class LabOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of the checks; `failed` holds a phrase for each that did."""

    made_from: str
    n_episodes: int  # generated ones with logs; none in a store that no lab wrote
    failed: tuple[str, ...]


def lab_inputs_sha256(layout: Layout, hosts: Iterable[str]) -> str:
    """The hash of all that the checks look at."""
    held = [(host, held_sha256(layout.log_events(host), "log_rows")) for host in sorted(hosts)]
    return canonical_sha256([version("lab_checks"), held])


def write_outcome(layout: Layout, outcome: LabOutcome) -> None:
    sweep(layout.lab_checks.parent, layout.lab_checks.name)
    write_json(layout.lab_checks, outcome)


def read_outcome(layout: Layout) -> LabOutcome | None:
    """What the checks said; None where they were not made."""
    try:
        return msgspec.json.decode(layout.lab_checks.read_bytes(), type=LabOutcome)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def refuse_leaks(layout: Layout) -> None:
    """LabLeaks where a check of the generated episodes failed: what is trained on them would learn the leak."""
    outcome = read_outcome(layout)
    if outcome is not None and outcome.failed:
        raise LabLeaks(
            f"the generated episodes give their answers away: {'; '.join(outcome.failed)}; generate another store, and "
            f"look again with: {how_to_make('lab_checks')}"
        )
