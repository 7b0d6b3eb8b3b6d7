"""The graph around rows as networks take it: edges by type, and a few numbers of files and sockets.

What does not belong here: processes' texts (`view.py`), and how a network goes along edges (`network/sage.py`).
"""

# P processes, F files, S sockets, C channels, E edges
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from rlstir_core.investigator.network.sage import Edges, edges_of
from rlstir_core.provenance.csr import typed_graph
from rlstir_core.provenance.tables import PROC_FILE_RW, PROC_SOCK_CONN, Graph

FILE_KINDS: Final = ("file", "registry", "pipe", "share", "device")
SOCKET_KINDS: Final = ("tcp", "udp", "dns", "unix", "well-known port")
_WELL_KNOWN = 1024
_ENDS = {PROC_FILE_RW: 1, PROC_SOCK_CONN: 2}  # what an edge ends at where that is no process


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The edges of an episode's graph, its nodes numbered by kind."""

    edges: Edges
    file_FC: NDArray[np.float32]
    socket_SC: NDArray[np.float32]

    def among(self, process_at: NDArray[np.int32]) -> Surroundings:
        """What stands around some of the processes; `process_at` is the new number of each, -1 for the others."""
        kept = {}
        for etype, ends in self.edges.of.items():
            source_E = process_at[ends[0]].astype(np.int64)
            target_E = ends[1] if etype in _ENDS else process_at[ends[1]].astype(np.int64)
            inside_E = (source_E >= 0) & (target_E >= 0)
            kept[etype] = (source_E[inside_E], target_E[inside_E])
        features = [self.file_FC, self.socket_SC]
        for etype, kind in _ENDS.items():
            if etype in kept:
                used, at_E = np.unique(kept[etype][1], return_inverse=True)
                kept[etype] = (kept[etype][0], at_E.astype(np.int64))
                features[kind - 1] = features[kind - 1][used]
            else:
                features[kind - 1] = features[kind - 1][:0]
        counts = (int((process_at >= 0).sum()), len(features[0]), len(features[1]))
        return Surroundings(edges=Edges(counts, kept), file_FC=features[0], socket_SC=features[1])


def surroundings(graph: Graph) -> Surroundings:
    """What stands around the processes of a graph."""
    files, sockets = graph["file_nodes"], graph["sock_nodes"]
    l4, port = sockets["l4"].to_pylist(), np.array(sockets["dst_port"].to_pylist(), np.float64)
    of_socket = [[name == each for name in SOCKET_KINDS[:-1]] for each in l4]
    socket_SC = np.zeros((len(sockets), len(SOCKET_KINDS)), np.float32)
    if l4:
        socket_SC[:, :-1] = of_socket
        socket_SC[:, -1] = np.nan_to_num(port, nan=np.inf) < _WELL_KNOWN
    return Surroundings(
        edges=edges_of(typed_graph(graph)),
        file_FC=np.array(
            [[name == each for name in FILE_KINDS] for each in files["kind"].to_pylist()], np.float32
        ).reshape(-1, len(FILE_KINDS)),
        socket_SC=socket_SC,
    )
