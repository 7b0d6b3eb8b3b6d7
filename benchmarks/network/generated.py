"""A generated store for what is measured of the encoder: made once in a folder, and found there again.

What does not belong here: any figure.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index, save_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.lab.generate import generate_store
from rlstir_core.lab.plan import LabOptions
from rlstir_core.provenance.store import build_graphs
from rlstir_core.results.layout import Layout
from rlstir_core.telemetry.schema import make_schema, write_schema
from rlstir_core.telemetry.store import build_tensors

HOSTS = (*(f"w{number}:windows" for number in range(1, 6)), "l1:linux")
NAMES = tuple(host.partition(":")[0] for host in HOSTS)


def parser(what: str) -> argparse.ArgumentParser:
    """The options that these benchmarks share."""
    found = argparse.ArgumentParser(description=what)
    found.add_argument("--folder", type=Path, required=True, help="where the store and its data lie, or are made")
    found.add_argument("--episodes", type=int, default=480)
    found.add_argument("--seed", type=int, default=21, help="of a store that is made")
    return found


def generated(args: argparse.Namespace, tell: Callable[[str], None]) -> Layout:
    """The data of the store in this folder; both are made where they are not there. One thread from now on."""
    torch.set_num_threads(1)
    store, layout = args.folder / "store", Layout(args.folder / "data")
    if not store.exists():
        tell(f"generating {args.episodes} episodes")
        generate_store(store, hosts=HOSTS, episodes=args.episodes, options=LabOptions(seed=args.seed))
    if not layout.index.exists():
        registry, index = load_registry(store), read_index(store)
        write_schema(layout.feature_schema, make_schema(registry))
        for host in index.hosts:
            tell(f"reading host {host}")
            validate_host(store, layout, host, registry=registry, index=index)
            build_tensors(layout, host, registry)
            build_log_events(store, layout, host)
            build_graphs(layout, host)
        save_index(layout.index, index)  # last: what was begun is made again
    return layout
