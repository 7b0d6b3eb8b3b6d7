"""A person's first hour, with the words that are on the screen: report, own episodes, own logs, the UI.

Every line `next:` is run as it is printed. What does not belong here: figures, and refusals.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

pytestmark = pytest.mark.slow
HOST = "k-gamingcom"  # the one that is held out: new episodes of it are tested, nothing is trained again
STRANGE = re.compile(r"Traceback|\bNone\b|\bnan\b|\{\}|\[\]|<[a-z]+ object|\x1b|  $", re.MULTILINE)


def said(result: Result, *words: str) -> str:
    """What a command printed, which has these words and no strange ones, and fits a terminal of 80 x 24."""
    assert result.exit_code == 0, result.output
    text = result.stdout
    for word in words:
        assert word in text, text
    assert not STRANGE.search(text), text
    assert result.stderr == ""
    return text


def nexts(text: str) -> list[list[str]]:
    """The arguments of every `rlstir` command that a text names as the next step."""
    lines = re.findall(r"(?m)(?:^| )(?:next|or): (\S*rlstir .*)$", text)
    return [shlex.split(line)[1:] for line in lines]


def test_from_a_report_to_own_episodes(
    own_driven: Any, invoke: Any, tmp_path: Path, small_store: Callable[..., Path], environment: Any, tool: Any
) -> None:
    store, data, home = own_driven.store, own_driven.data, own_driven.home
    here = ("--store", store, "--data", data)

    hosts = said(invoke("list", *here, home=home), HOST, "8 episodes", "ok")
    assert nexts(hosts) == [["list", "results", "--store", str(store), "--data", str(data)]]
    said(invoke(*nexts(hosts)[0], home=home), "host ", "by validation, macro F1", "comparison_v2.md")

    recorded = small_store(tmp_path / "recorder", episodes=10, seed=99) / "episodes" / HOST
    tarballs = sorted(recorded.iterdir())
    assert len(tarballs) == 5
    checked = said(invoke("validate", *tarballs, home=home), "ok", "0 reject")
    own = str(Path("store").absolute())
    assert nexts(checked) == [["add", *map(str, tarballs), "--store", own]]
    added = said(invoke(*nexts(checked)[0][:-1], store, home=home), "5 episodes added, 0 were there already")
    said(invoke("add", recorded, "--store", store, home=home), "0 episodes added, 5 were there already")

    foreseen = said(invoke("materialize", *here, "--dry-run", home=home), "5 new episodes", "nothing was made")
    assert f"{HOST}: on the test side alone, so models are scored again, not trained" in foreseen
    for step in (nexts(added)[0], nexts(foreseen)[0]):
        assert step[:1] == ["materialize"] and str(store) in step
    done = said(invoke(*nexts(foreseen)[0], home=home), f"host {HOST}: making", "5 new episodes", "scores every model")
    assert "checkpoints" not in done and re.search(r"(?m)^  comparison_v2 +\d+\.\d s$", done)
    assert max(map(len, re.findall(r"(?m)^  \w+ +\d+\.\d s$", done))) <= 80
    assert "21 synthetic episodes" in done and "13 held out for the test" in done
    report = own_driven.layout.report("host").read_text()
    assert "test 13" in report
    listed = invoke("list", "episodes", "--host", HOST, *here, "--json", home=home)
    verdicts = [json.loads(line)["verdict"] for line in listed.stdout.splitlines()]
    assert len(verdicts) == 13 and "not validated" not in verdicts
    again = said(invoke("materialize", *here, home=home), "nothing was new: every asset is up to date")
    shown = """{ assetNodeOrError(assetKey: {path: "comparison_v2"}) { ... on AssetNode {
      assetMaterializations(limit: 1) { partition
      metadataEntries { label ... on MarkdownMetadataEntry { mdStr } } } } } }"""
    with opened(tool("rlstir"), nexts(again)[-1], home, environment(home)) as (ask, _):
        (last,) = ask(shown)["assetNodeOrError"]["assetMaterializations"]
    answer = next(entry["mdStr"] for entry in last["metadataEntries"] if entry["label"] == "answer")
    assert last["partition"] == "host" and "13 test" in " ".join(answer.split())


def test_from_own_logs_to_findings_and_the_ui(
    invoke: Any, tmp_path: Path, make_home: Any, environment: Any, tool: Any
) -> None:
    (tmp_path / "var").mkdir()
    lines = [
        f"May  1 12:00:{k:02} web1 sshd[{k}]: Failed password for root from 203.0.113.{k} port 4" for k in range(9)
    ]
    (tmp_path / "var" / "secure").write_text("\n".join([*lines, "\x01what is this", ""]))
    home, store = make_home(tmp_path / "home"), tmp_path / "logs"
    imported = said(invoke("import", "logs", tmp_path / "var", "--store", store), "10 rows of 1 logs", "of 1 hosts")
    (step,) = nexts(imported)
    words = (
        "without telemetry: 1 usable",
        "log rows: auth 10",
        "hosts: web1 1",
        "could not be parsed: 1 row in 1 file",
    )
    found = said(invoke(*step), *words, "secure, logs/auth.log line 10: no syslog header", "graphs: 1")
    assert "window_tensors" not in found and "recipe" not in found
    assert "no encoder: no log row carries a technique (rlstir import logs --labels brings them)" in found
    show, export = nexts(found)
    shown = said(invoke(*show), "log rows: 10 auth")
    assert (tmp_path / "pictures").is_dir() and "picture: " in shown
    said(invoke(*export), "10 rows in timeline.jsonl")
    said(invoke(*step), "nothing was new", "log rows: auth 10")

    made = '{ assetNodeOrError(assetKey: {path: "log_events"}) { ... on AssetNode { partitionKeys } } }'
    with opened(tool("rlstir"), ["ui"], tmp_path, environment(home)) as (ask, out):
        assert ask(made)["assetNodeOrError"]["partitionKeys"] == ["web1"]
    # without a word of where, it is what was worked on last
    assert f"opening the UI for {store} and {store}-data" in out[0]


@contextmanager
def opened(program: str, words: list[str], cwd: Path, env: dict[str, str]) -> Iterator[tuple[Any, list[str]]]:
    """`rlstir ui` as a person opens it, and closes it with Ctrl-C: (its GraphQL, what it printed)."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [program, *words, "--port", str(port)],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    out: list[str] = []
    try:
        yield lambda query: asked(port, query, process), out
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            out.append(process.communicate(timeout=30)[0])
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out.append(process.communicate()[0])
    assert f"http://127.0.0.1:{port} in a moment" in out[0]
    assert "SupersessionWarning" not in out[0] and "Traceback" not in out[0]


def asked(port: int, query: str, process: subprocess.Popen[str]) -> Any:
    """What the UI's GraphQL answers, once it is up."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    for _ in range(240):
        assert process.poll() is None, process.communicate()[0]
        with suppress(OSError), urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["data"]
        time.sleep(0.5)
    raise AssertionError("the UI did not come up")
