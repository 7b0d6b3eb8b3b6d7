"""A small drift for the tests of the report."""

from __future__ import annotations

import msgspec

from rlstir_core.evaluation.drift.records import ColumnDrift, Drift, DriftFault, HostDrift, Novelty
from rlstir_core.evaluation.stats.intervals import Estimate


def sample_drift(
    host: str = "host-a",
    new: str = "host-c",
    number: str = "netflow.bytes",
    source: str = "netflow",
    scored_by: str = "gbt_realistic",
) -> Drift:
    """A host that lacks a source since today, and one without a past."""
    few = Estimate(value=0.61, note="n = 6 episodes, no interval below 20")
    column = ColumnDrift(kind="level", name=number, before=3.1, recent=0.2, ks=few, psi=Estimate(value=None), p=0.0004)
    return Drift(
        until_wall_ns=1_769_421_600_000_000_000,
        hours=24,
        level=0.01,
        alarm=True,
        n_hosts=1,
        hosts=(
            HostDrift(
                host=host,
                n_recent=6,
                n_before=90,
                verdict="alarm",
                p=0.001,
                level=0.01,
                n_columns=107,
                columns=(column,),
                novelty=(Novelty(what="templates", share=0.04, expected=0.01),),
                faults=(DriftFault(what="source", name=source, chance=1e-8),),
                probe=few,
                score=msgspec.structs.replace(column, kind="score", before=0.21, recent=0.34),
            ),
        ),
        n_new=1,
        new=(new,),
        scored_by=scored_by,
    )
