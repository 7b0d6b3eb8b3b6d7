"""`rlstir live` as a person uses it: what it prints, how it ends, and what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_it_prints_an_address_that_opens_it_and_ends_with_ctrl_c(
    tool: Callable[[str], str], environment: Callable[..., dict[str, str]], make_home: Any, tmp_path: Path
) -> None:
    make_home(tmp_path / "home")
    words = [tool("rlstir"), "live", "--data", str(tmp_path / "data"), "--port", "0", "--no-open"]
    own = environment(tmp_path / "home", PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own) as process:
        assert process.stdout is not None and process.stderr is not None
        first, address, following = (process.stdout.readline().strip() for _ in range(3))
        assert first == f"the live view of {tmp_path / 'data'}; Ctrl-C closes it"
        assert address.startswith("http://127.0.0.1:") and "/#token=" in address
        assert following.endswith(f"live replay EPISODE --data {tmp_path / 'data'}")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        assert process.stdout.read().strip() == "closed; pages go on when it is opened again"
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--data", "x", "replay", "ep"), "--data stands before replay; give options of a command after its name"),
        (("--no-open", "metrics"), "--no-open stands before metrics"),
        (("metrics", "--data", "x"), "no live view of"),
        (("profiles", "--data", "x"), "open one in another shell with: "),
        (("--host", "0.0.0.0", "--no-open"), "host 0.0.0.0 is every address of this machine; name one"),
        (("--host", "192.0.2.7", "--no-open"), "of 192.0.2.7 cannot be used"),
        (("--host", "no such host", "--no-open"), "of no such host cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(invoke: Callable[..., Any], words: tuple[str, ...], sentence: str) -> None:
    done = invoke("live", *words)
    assert done.exit_code == 2, done.output
    assert sentence in done.stderr and len(done.stderr.splitlines()) == 1
