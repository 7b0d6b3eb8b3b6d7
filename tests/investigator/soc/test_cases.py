"""A case of a log and its graph: what is asked of it is what the log says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from event_log import Log
from soc_world import drawn_case

from rlstir_core.investigator.queries.catalogue import KINDS, PLACE, STOP, costs
from rlstir_core.investigator.soc.budget import cost_of_everything
from rlstir_core.investigator.soc.cases import CaseSet, case_of
from rlstir_core.investigator.soc.detecting import ConstantDetector
from rlstir_core.investigator.soc.lanes import SocLanes
from rlstir_core.investigator.soc.reward import Rewards
from rlstir_core.investigator.techniques.labels import LABELS

SHELL = (50, 5, "explorer.exe")


def test_an_analyst_gets_from_an_alert_to_who_wrote_the_file_and_from_where(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.create(0, 101, 2, "powershell.exe", SHELL)
    log.sysmon(1, 3, 101, 2, "powershell.exe", DestinationIp="10.9.8.7", DestinationPort=443, Protocol="tcp",
               SourceIp="10.0.0.2", Initiated="true")  # fmt: skip
    log.sysmon(2, 11, 101, 2, "powershell.exe", TargetFilename="C:\\up.exe")
    log.create(9, 102, 3, "up.exe", SHELL)  # the alert: nothing tells where it came from
    graph, table = log.graph(), log.table()
    case = case_of(
        table, graph, np.zeros((4, 3)), np.array([0.0, 0.0, 0.0, 5.0]), None, 0, episode_id="ep", host="ws", names=True
    )
    assert case.alert == 3 and np.isnan(case.truth_K).all()
    assert case.names_E[case.alert_process].endswith("up.exe") and len(case.names_E) == case.kind_1[len(KINDS)]
    detector = ConstantDetector(np.full(2 + len(LABELS), 0.2), 3)
    env = SocLanes(CaseSet([case]), detector, Rewards(), 20.0, 1)
    env.reset(0)
    shown = []
    for query in ("file_history", "proc_tree_near", "sockets_process"):
        env.step(np.array([PLACE[query]]))
        shown.append(env.last.row_R.tolist())
    assert shown[0] == [2]  # by the image's path to who wrote it
    assert 0 in shown[1]  # then how that one began
    reward = env.step(np.array([STOP])).reward_B
    assert np.isfinite(reward).all()  # what nobody knows is not judged


def test_what_asking_everything_costs_is_what_63_queries_cost_where_there_is_so_much_to_ask(tmp_path: Path) -> None:
    log = Log(tmp_path)
    for k in range(20):
        log.create(k, 100 + k, 1 + k, "a.exe", SHELL)
    case = case_of(log.table(), log.graph(), np.zeros((20, 3)), np.zeros(20), None, 0, episode_id="ep", host="ws")
    small = cost_of_everything(CaseSet([case] * 3), seed=0)
    large = cost_of_everything(CaseSet([drawn_case(1)] * 3), seed=0)
    assert small.shape == (3,) and (costs().max() < small).all()
    assert (large > small).all() and (large <= 63 * costs().max()).all()
    np.testing.assert_array_equal(large, cost_of_everything(CaseSet([drawn_case(1)] * 3), seed=0))
