"""Jobs: one for each partition dimension, which the sensor asks for runs of.

No run can span two partition definitions, so no single asset job makes everything. What does not belong here: jobs that
give whole commands (`commands.py`).
"""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg

from rlstir_assets.driver.plan import INDEX_ASSETS, LAB_ASSETS, SYNC_ASSETS

HOST_ASSETS = ("validation", "window_tensors", "window_features", "log_events", "provenance_graphs")

index_job = dg.define_asset_job(
    "index",
    dg.AssetSelection.assets(*SYNC_ASSETS, *INDEX_ASSETS),
    description="Copies new episodes where a source is set, and reads the store's index and its registry.",
)
hosts_job = dg.define_asset_job(
    "hosts",
    dg.AssetSelection.assets(*HOST_ASSETS),
    description="Verdicts, tensors, features, log rows and graphs of a host or a range of hosts.",
)
lab_job = dg.define_asset_job(
    "lab", dg.AssetSelection.assets(*LAB_ASSETS), description="The checks of generated episodes."
)
recipe_job = dg.define_asset_job(
    "recipe",
    dg.AssetSelection.groups("datasets", "detectors", "investigator", "evaluation"),
    description="A split, what is learnt from it, its evaluation and its report.",
)
STAGE_JOBS = [index_job, hosts_job, lab_job, recipe_job]


def job_of(assets: Collection[str]) -> str:
    """The name of the job that one run of these assets belongs to."""
    for names, job in (((*SYNC_ASSETS, *INDEX_ASSETS), index_job), (HOST_ASSETS, hosts_job), (LAB_ASSETS, lab_job)):
        if set(assets) <= set(names):
            return str(job.name)
    return str(recipe_job.name)
