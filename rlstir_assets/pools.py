"""`python -m rlstir_assets.pools`: gives the pool `gpu` one slot a device of this machine."""

from __future__ import annotations

import click

from rlstir_assets.executor import GPU_POOL, gpu_count, size_gpu_pool
from rlstir_assets.runs import open_instance

if __name__ == "__main__":
    slots = size_gpu_pool(open_instance())
    click.echo(f"{gpu_count()} GPUs: pool {GPU_POOL} has {slots} slots")
