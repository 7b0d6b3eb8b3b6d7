"""Somebody else's agent: asked in lines, refused with a sentence that says how it broke the contract."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlstir_core.errors import AgentError
from rlstir_core.investigator.policies.probing import run
from rlstir_core.investigator.policies.program import Program, as_text
from rlstir_core.investigator.policies.reading import Parts

ROOT = Path(__file__).parents[3]
NAMES = ("proc_tree_near", "autoruns", "STOP")
READS = Parts(NAMES, np.array([1, 6, 0], np.float32), belief=slice(0, 1), asked=slice(1, 3))
SEEN = np.array([[0.5, 0, 0]], np.float32)
LEGAL = np.array([[True, False, True]])


class OneCase:
    """One lane with nothing to tell."""

    def describe(self, lane: int) -> Mapping[str, Any] | None:
        return {"rows": [], "lane": lane}


def asked(code: str, *, limit_s: float = 20.0, times: int = 1) -> tuple[Program, int]:
    """What an agent of this code answers, and its program, which is closed."""
    command = shlex.join([sys.executable, "-c", code])
    program = Program(command, READS, OneCase(), ["near", "autoruns", "stop"], techniques=("T1059",), limit_s=limit_s)
    program.begin(0)
    try:
        for _ in range(times):
            action = int(program.act(SEEN, LEGAL)[0])
    finally:
        program.close()
    return program, action


def always(answer: str) -> str:
    return f"import sys\nfor line in sys.stdin: sys.stdout.write({answer!r}); sys.stdout.flush()"


def test_an_agent_acts_and_declares() -> None:
    assert asked(always('{"action": "proc_tree_near"}\n'), times=2)[1] == 0
    assert asked(always('{"action": "STOP"}\n'))[1] == 2
    program, action = asked(always('{"declare": {"attack": 0.75, "techniques": {"T1059": 1}}}\n'))
    assert action == 2
    assert program.declared[0].attack == 0.75 and program.declared[0].techniques == {"T1059": 1.0}
    assert program.declared[0].tampered is None


MISBEHAVIOUR = {
    "ended with exit code 3": "import sys\nsys.stdin.readline()\nsys.stderr.write('no \\x1b[31m model')\nsys.exit(3)",
    "was killed by signal 9": "import os\nos.kill(os.getpid(), 9)",
    "closed its output": "import os, time\nos.close(1)\ntime.sleep(60)",
    "gave no answer within": "import time\ntime.sleep(60)",
    "wrote more than one line": always('{"action": "STOP"}\n' * 2),
    "bytes without an end of line": "while True: print('x' * 9999, end='')",
    "which is no JSON": always("I would look at the process tree\n"),
    "which is no answer": always('["STOP"]\n'),
    "not one of both": always("{}\n"),
    "there is no action": always('{"action": "rm"}\n'),
    "is not legal now": always('{"action": "autoruns"}\n'),
    "must be a probability": always('{"declare": {"attack": 7}}\n'),
    "none of the techniques": always('{"declare": {"techniques": {"T9": 0.5}}}\n'),
}


@pytest.mark.parametrize("sentence", MISBEHAVIOUR)
def test_each_way_to_misbehave_is_refused_in_one_sentence(sentence: str) -> None:
    with pytest.raises(AgentError) as refusal:
        asked(MISBEHAVIOUR[sentence], limit_s=0.3 if "within" in sentence else 20.0)
    words = str(refusal.value)
    assert sentence in words and "step 0 of case 1" in words
    assert "\n" not in words and "\x1b" not in words
    assert sentence in (ROOT / "docs/agents.md").read_text() or "exit code" in words or "signal" in words


def test_a_line_that_nobody_asked_for_is_refused() -> None:
    code = "import sys, time\ninput()\nfor _ in 'ab': print('{\"action\":\"STOP\"}', flush=True); time.sleep(1)"
    command = shlex.join([sys.executable, "-c", code])
    program = Program(command, READS, OneCase(), ["", "", ""])
    program.begin(0)
    program.act(SEEN, LEGAL)
    time.sleep(1.5)
    with pytest.raises(AgentError, match="nobody asked for"):
        program.act(SEEN, LEGAL)
    program.close()


def test_an_agent_that_floods_its_error_output_does_not_hang() -> None:
    code = "import sys\nsys.stdin.readline()\nsys.stderr.write('x' * 500000)\nprint('{\"action\":\"STOP\"}')"
    assert asked(code)[1] == 2


@pytest.mark.parametrize(("command", "sentence"), [("", "no command"), ("'", "quotes"), ("/no/such", "be started")])
def test_what_cannot_be_started_is_said(command: str, sentence: str) -> None:
    with pytest.raises(AgentError, match=sentence):
        Program(command, READS, OneCase(), []).begin(0)


def test_its_children_end_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    code = (
        "import subprocess, sys\n"
        f"child = subprocess.Popen(['sleep', '60']); open({str(note)!r}, 'w').write(str(child.pid))\n"
        + always('{"action": "STOP"}\n')
    )
    asked(code)
    pid = int(note.read_text())
    for _ in range(100):  # whoever inherited it has to take notice first
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.02)
    os.kill(pid, 9)
    raise AssertionError("the child lives on")


def test_the_example_agent_keeps_to_the_contract(table_lanes: Any) -> None:
    sentences = [f"look at {name}" for name in table_lanes.reads.names]
    program = Program(
        f"{sys.executable} {ROOT / 'docs/example_agent.py'}", table_lanes.reads, table_lanes, sentences, limit_s=20
    )
    ran = run(program, table_lanes, 0)
    program.close()
    assert (ran.steps_B >= 4).all() and (ran.cost_B >= 3).all()
    assert len((ROOT / "docs/example_agent.py").read_text().splitlines()) <= 30


def test_a_structure_is_told_in_lines() -> None:
    rows = [{"what": "bash\nstarted", "p": 0.123456}, {"what": "ssh", "p": None}]
    assert as_text({"left": 3, "rows": rows, "none": []}) == (
        "left: 3\nrows:\n  - what: bash started\n    p: 0.1235\n  - what: ssh\n    p: none\nnone: none"
    )
