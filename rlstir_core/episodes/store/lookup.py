"""Finding one episode by what a person types: an id, perhaps a host; a miss says what there is.

What does not belong here: reading an index (`index.py`) and opening a tarball.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from rlstir_core.episodes.store.index import IndexEntry, load_index
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.results.layout import Layout
from rlstir_core.text import shown

_MOST_HOSTS = 20
_NEAR = 3


def known_entries(layout: Layout) -> tuple[IndexEntry, ...]:
    """The episodes that a data folder was made from; StoreError where the folder is no data folder."""
    if not layout.processed.is_dir():
        what = "holds nothing that RL-STIR made" if layout.data.is_dir() else "is not a folder"
        raise StoreError(f"{layout.data} {what}; name the data folder of a `rlstir materialize` with --data")
    return load_index(layout.index).entries


def find_entry(entries: Sequence[IndexEntry], episode: str, host: str, where: str) -> IndexEntry:
    """The episode of that id (and of that host, where one is named); ConfigError that names what `where` has."""
    hosts = sorted({entry.host_id for entry in entries})
    if host and host not in hosts:
        raise ConfigError(f"host {shown(host)} is not in {where}; its hosts are {_some(hosts)}")
    among = [entry for entry in entries if not host or entry.host_id == host]
    found = [entry for entry in among if entry.episode_id == episode]
    if not found:
        elsewhere = sorted({entry.host_id for entry in entries if entry.episode_id == episode})
        if elsewhere:
            raise ConfigError(
                f"episode {shown(episode)} is not of host {host}, but of {_some(elsewhere)}; name that one"
            )
        ids = [str(entry.episode_id) for entry in among]
        near = difflib.get_close_matches(episode, ids, _NEAR, 0.5) or ids[:_NEAR]
        of_host = f" on host {host}" if host else ""
        some = f"like {', '.join(near)}" if near else "none"
        raise ConfigError(
            f"episode {shown(episode)} is not among the {len(among)} of {where}{of_host}; there are {some}"
        )
    if len(found) > 1:
        raise ConfigError(
            f"episode {shown(episode)} was recorded on several hosts ({_some([e.host_id for e in found])}); say which "
            "with --host"
        )
    return found[0]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_HOSTS} more" if len(names) > _MOST_HOSTS else ""
    return (", ".join(names[:_MOST_HOSTS]) or "(none)") + more
