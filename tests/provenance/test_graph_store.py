"""Graphs on disk: made once, made again where rows changed, whole or absent, the same bytes every time."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_check import check

from rlstir_core.contract.registry import load_registry
from rlstir_core.episodes.store.index import read_index
from rlstir_core.episodes.validation.validate import validate_host
from rlstir_core.errors import UpstreamMissing
from rlstir_core.hostlogs.store import build_log_events
from rlstir_core.importers.logs import import_logs
from rlstir_core.provenance.csr import typed_graph
from rlstir_core.provenance.picture import tree_picture
from rlstir_core.provenance.store import build_graphs, graph_changes, largest_tree, read_counts, read_graph
from rlstir_core.results import versions
from rlstir_core.results.layout import Layout

REAL = Path(__file__).parents[3] / "shared" / "real"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real logs are not beside this checkout")
PNG = b"\x89PNG\r\n\x1a\n"


def imported(folder: Path, paths: list[Path]) -> tuple[Path, Layout]:
    """A store of foreign logs with its log rows."""
    store, layout = folder / "store", Layout(folder / "data")
    import_logs(paths, store)
    rows(store, layout)
    return store, layout


def rows(store: Path, layout: Layout) -> list[str]:
    index, registry = read_index(store), load_registry(store)
    for host in index.hosts:
        validate_host(store, layout, host, registry=registry, index=index)
        build_log_events(store, layout, host)
    return list(index.hosts)


@pytest.fixture
def small(tmp_path: Path, log: Any) -> tuple[Path, Layout]:
    """A store of two episodes of one host."""
    for n in range(2):
        log.lines.clear()
        log.create(0, 100, 1, "cmd.exe", (50, 5, "explorer.exe"))
        log.sysmon(1 + n, 11, 100, 1, "cmd.exe", TargetFilename=f"C:\\{n}")
        path = tmp_path / "in" / f"log{n}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in log.lines))
    return imported(tmp_path, [tmp_path / "in"])


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def test_graphs_are_made_once(small: tuple[Path, Layout]) -> None:
    _, layout = small
    assert len(graph_changes(layout, "ws").make) == 2
    first = build_graphs(layout, "ws")
    before = digests(layout.graphs("ws"))
    assert (first.made, first.nodes["proc_nodes"], first.edges["PROC_CHILD"]) == (2, 4, 2) and len(before) == 8
    again = build_graphs(layout, "ws")
    assert (again.made, again.unchanged, again.nodes) == (0, 2, first.nodes) and not graph_changes(layout, "ws")


def test_equal_rows_give_equal_bytes_in_whatever_order(small: tuple[Path, Layout], tmp_path: Path, log: Any) -> None:
    _, layout = small
    build_graphs(layout, "ws")
    first, last = sorted(path.name for path in layout.graphs("ws").iterdir() if path.is_dir())
    before = digests(layout.graphs("ws"))
    for episode in (last, first):  # one at a time, the last first
        for path in (layout.graphs("ws") / episode).iterdir():
            path.unlink()
        (layout.graphs("ws") / episode).rmdir()
        assert build_graphs(layout, "ws").made == 1
    assert digests(layout.graphs("ws")) == before


def test_an_episode_that_is_gone_takes_its_graph_along(small: tuple[Path, Layout]) -> None:
    store, layout = small
    build_graphs(layout, "ws")
    lines = (store / "index.jsonl").read_text().splitlines()
    (store / "index.jsonl").write_text(lines[0] + "\n")
    rows(store, layout)
    (layout.graphs("ws") / ".tmp-of-a-killed-run").mkdir()
    assert build_graphs(layout, "ws").dropped == 1
    left = [path.name for path in layout.graphs("ws").iterdir() if not path.name.startswith("_")]
    assert left == [json.loads(lines[0])["episode_id"]]


def test_rows_that_are_not_up_to_date_are_refused(small: tuple[Path, Layout], monkeypatch: pytest.MonkeyPatch) -> None:
    _, layout = small
    monkeypatch.setattr(versions, "VERSIONS", {**versions.VERSIONS, "log_rows": 10_000})
    with pytest.raises(UpstreamMissing, match=r"log rows of host 'ws'.*key:log_events"):
        build_graphs(layout, "ws")


def test_rows_made_anew_make_the_graphs_anew(small: tuple[Path, Layout], monkeypatch: pytest.MonkeyPatch) -> None:
    store, layout = small
    build_graphs(layout, "ws")
    monkeypatch.setattr(versions, "VERSIONS", {**versions.VERSIONS, "log_rows": 10_000})
    rows(store, layout)
    assert build_graphs(layout, "ws").made == 2


@pytest.mark.parametrize("harm", ["gone", "damaged", "of another build"])
def test_a_graph_that_is_not_whole_is_refused(small: tuple[Path, Layout], harm: str) -> None:
    _, layout = small
    build_graphs(layout, "ws")
    one, other = sorted(path for path in layout.graphs("ws").iterdir() if path.is_dir())
    path = one / "edges.parquet"
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(b"PAR1" if harm == "damaged" else (other / "edges.parquet").read_bytes())
    with pytest.raises(UpstreamMissing, match=r"holds no graph.*key:provenance_graphs"):
        read_graph(layout, "ws", one.name)


def test_a_host_without_logs_has_no_graphs(small: tuple[Path, Layout]) -> None:
    store, layout = small
    (store / "index.jsonl").write_text("")
    validate_host(store, layout, "ws", registry=load_registry(store), index=read_index(store))
    build_log_events(store, layout, "ws")
    assert build_graphs(layout, "ws").rows == 0 and not layout.graphs("ws").exists()


def test_building_graphs_needs_no_torch() -> None:
    code = "import sys, rlstir_core.provenance.store, rlstir_core.provenance.sampler; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_picture_shows_hostile_names_as_plain_text(log: Any) -> None:
    log.create(0, 100, 1, "$\\frac{1}{0}$\u202e\u0007.exe", (50, 5, "explorer.exe"), CommandLine="$x^$ \n%\ud7ff" * 500)
    log.create(1, 101, 2, "x" * 300, (100, 1, "$\\frac{1}{0}$\u202e\u0007.exe"))
    png = tree_picture(log.graph(), "$host$ \\x")
    assert png.startswith(PNG) and int.from_bytes(png[16:20]) == 700
    assert png == tree_picture(log.graph(), "$host$ \\x")


def test_a_picture_of_many_processes_stays_small(log: Any) -> None:
    for n in range(1, 300):
        log.create(n, 100 + n, n, f"p{n % 60}.exe", (100 + n // 3, n // 3, f"p{n // 3 % 60}.exe"))
    png = tree_picture(log.graph(), marked_rows=[250])
    assert int.from_bytes(png[16:20]) == 700 and 300 < int.from_bytes(png[20:24]) <= 800


def test_the_largest_tree_of_some_hosts_is_drawn(small: tuple[Path, Layout]) -> None:
    _, layout = small
    assert largest_tree(layout, ["ws", "nowhere"]) == b""
    build_graphs(layout, "ws")
    assert largest_tree(layout, ["nowhere", "ws"]).startswith(PNG)


def test_a_graph_without_a_tree_has_no_picture(log: Any) -> None:
    log.sysmon(0, 11, 1, 1, TargetFilename="C:\\f")
    assert tree_picture(log.graph()) == b""


def test_a_log_that_says_nothing_gives_an_empty_graph(log: Any) -> None:
    graph = log.graph()
    assert [len(table) for table in graph.values()] == [0, 0, 0, 0] and typed_graph(graph).n_nodes == 0


def test_the_arrays_of_a_graph_hold_each_of_its_edges_once(log: Any) -> None:
    log.create(0, 100, 1, "cmd.exe", (50, 5, "explorer.exe"))
    log.sysmon(1, 11, 100, 1, "cmd.exe", TargetFilename="C:\\f")
    graph = log.graph()
    found = typed_graph(graph)
    assert found.n_nodes == sum(len(table) for name, table in graph.items() if name != "edges")
    edges = graph["edges"].to_pylist()
    kinds = np.repeat(found.etypes, np.diff(found.etype_ends, prepend=0))
    assert sorted(found.edge_id_E) == list(range(len(edges)))
    for kind, source, target, row in zip(kinds, *found.edge_2E, found.edge_id_E, strict=True):
        assert (kind, source, target) == tuple(edges[row][name] for name in ("etype", "src_id", "dst_id"))


@needs_real
def test_real_windows_logs_give_sound_graphs(tmp_path: Path) -> None:
    every = sorted((REAL / "mordor" / "windows").rglob("*"), key=lambda path: (path.stat().st_size, path.name))
    files = [path for path in every if path.is_file()][2:40:5]
    _, layout = imported(tmp_path, files)
    creations = below = n_edges = 0
    for log_folder in sorted(layout.log_events("x").parent.iterdir()):
        host = log_folder.name.partition("=")[2]
        build_graphs(layout, host)
        for path in sorted(log_folder.glob("*.parquet")):
            report = check(read_graph(layout, host, path.stem), path)
            assert report.faults == {}, path.name
            creations, below = creations + report.creations, below + report.below_parent
            n_edges += report.edge_rows
    assert n_edges > 1000 and creations >= 10 and below >= 0.95 * creations


@needs_real
def test_real_audit_logs_give_sound_graphs(tmp_path: Path) -> None:
    _, layout = imported(tmp_path, [REAL / "linux_audit_golibaudit", REAL / "linux_audit_izysec"])
    assert build_graphs(layout, "imported").edges["PROC_FILE_RW"] >= 40
    for path in sorted(layout.log_events("imported").glob("*.parquet")):
        assert check(read_graph(layout, "imported", path.stem), path).faults == {}
        assert read_counts(layout.graphs("imported") / path.stem).rows > 0
