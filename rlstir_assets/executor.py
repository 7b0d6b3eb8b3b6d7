"""How steps run: separate processes from one fork server with torch preloaded; the UI and the driver use the same.

What does not belong here: what steps do.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing import forkserver

import dagster as dg

from rlstir_assets.gpu.lease import visible_devices

GPU_POOL = "gpu"
_PRELOAD = [
    "torch",
    "xgboost",
    "scipy.signal",
    "scipy.stats",
    "rlstir_core.detectors.models.neural",
    "rlstir_core.evaluation.report.comparison",
    "rlstir_assets.definitions",
    "rlstir_assets.instance",  # every step opens it
    "upath.core",  # and Dagster asks for this in every one
]
_OF_TRAINING = "torch._dynamo"  # which torch loads for every optimizer, and that takes longer than a small training
_WITHOUT_GPU = 64  # slots of the pool where there is no device to queue for

# One thread per step: steps run side by side, and results do not depend on how many cores there are.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

executor = dg.multiprocess_executor.configured(
    {"max_concurrent": 0, "start_method": {"forkserver": {"preload_modules": _PRELOAD}}}
)


def start_steps(*, train: bool) -> None:
    """Starts the fork server of this process, where it does not run yet; with what training needs where steps will."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*_PRELOAD, *([_OF_TRAINING] if train else [])])
    forkserver.ensure_running()


def size_gpu_pool(instance: dg.DagsterInstance) -> int:
    """Gives the pool one slot a device; without devices it queues for nothing. Returns the slots."""
    slots = len(visible_devices()) or _WITHOUT_GPU
    instance.event_log_storage.set_concurrency_slots(GPU_POOL, slots)
    return slots
