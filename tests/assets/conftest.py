"""Running the command line and the driver inside the test's own process, with an instance of the test's own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest


class Web:
    """The UI's GraphQL, as a browser speaks to it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self._url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            reply = json.load(answer)
        assert "errors" not in reply, reply
        return reply["data"]

    def materialize(self, key: str, partition: str | None = None, **settings: str) -> tuple[str, list[str]]:
        """(status, what the failed steps said) of a click on Materialize, perhaps with settings from the launchpad."""
        selector = {
            "repositoryLocationName": LOCATION,
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": key.split("/")}],
            "assetCheckSelection": None,
        }
        tags = [] if partition is None else [{"key": "dagster/partition", "value": partition}]
        given = {
            "selector": selector,
            "executionMetadata": {"tags": tags},
            "mode": "default",
            "runConfigData": json.dumps({"resources": {"settings": {"config": settings}}}),
        }
        launched = self.ask(LAUNCH, given=given)
        run = launched["launchRun"]["run"]["runId"]
        for _ in range(240):
            found = self.ask(STATUS, run=run)["runOrError"]
            if found["status"] in ("SUCCESS", "FAILURE", "CANCELED"):
                events = found["eventConnection"]["events"]
                sentences = [
                    event["failureMetadata"]["description"] for event in events if event.get("failureMetadata")
                ]
                return found["status"], sentences
            time.sleep(0.5)
        raise AssertionError(f"run {run} did not end")


AT_ONCE = "\nrun_coordinator:\n  module: dagster._core.run_coordinator\n  class: DefaultRunCoordinator\n"
LOCATION = "rlstir_assets.definitions"
LAUNCH = """mutation Launch($given: ExecutionParams!) { launchRun(executionParams: $given) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
STATUS = """query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status
  eventConnection(limit: 1000) { events { __typename ... on ExecutionStepFailureEvent {
  failureMetadata { description } } } } } } }"""


@pytest.fixture
def web(
    tool: Callable[[str], str], environment: Callable[..., dict[str, str]]
) -> Iterator[Callable[..., AbstractContextManager[Web]]]:
    """`dagster-webserver` for a DAGSTER_HOME, a store and a data folder."""

    @contextmanager
    def serving(home: Path, store: Path, data: Path) -> Iterator[Web]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        if "run_coordinator" not in (settings := home / "dagster.yaml").read_text():
            settings.write_text(settings.read_text() + AT_ONCE)  # no daemon, so nothing may wait in its queue
        process = subprocess.Popen(
            [tool("dagster-webserver"), "-m", LOCATION, "-h", "127.0.0.1", "-p", str(port)],
            cwd=home,
            env=environment(home, RLSTIR_STORE=str(store), RLSTIR_DATA=str(data)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            for _ in range(240):
                with suppress(OSError), urllib.request.urlopen(f"{url}/server_info", timeout=5):
                    break
                assert process.poll() is None, "the web server ended"
                time.sleep(0.5)
            yield Web(url)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(20)

    yield serving
