"""Hosts that the index names no more: what was made of them goes.

What does not belong here: single episodes, which every builder of a host's results takes away itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from rlstir_core.progress import Progress, told_to
from rlstir_core.results.layout import Layout
from rlstir_core.results.lock import holding

_PREFIX = "host="


def gone_hosts(layout: Layout, hosts: Iterable[str]) -> tuple[str, ...]:
    """Hosts that have results but are not among `hosts`."""
    found = {path.name.removeprefix(_PREFIX) for path in layout.processed.glob(f"*/{_PREFIX}*")}
    return tuple(sorted(found.difference(hosts)))


def remove_gone_hosts(layout: Layout, hosts: Iterable[str], progress: Progress | None = None) -> tuple[str, ...]:
    """Takes away the results of every host that is not among `hosts`, and names them."""
    gone = gone_hosts(layout, hosts)
    for host in gone:
        with holding(layout.host_lock(host), waiting=told_to(progress)):
            for folder in layout.processed.glob(f"*/{_PREFIX}{host}"):
                if folder.is_symlink():  # what it leads to is somebody else's
                    folder.unlink()
                else:
                    shutil.rmtree(folder)
    return gone
