"""The case page: what stands on it is what the commands say, and what is hostile stays text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result
from report_page import Page

from rlstir_core.contract.registry import default_registry
from rlstir_core.errors import StoreError
from rlstir_core.evaluation.case.gather import gather_case
from rlstir_core.evaluation.case.material import CaseMaterial, LogsShown, TimeLane, TreeLine, TruthShown
from rlstir_core.evaluation.case.page import CitedRows, render_case
from rlstir_core.evaluation.detectors.saying.records import EpisodeScore, ModelSays, PhaseRun
from rlstir_core.investigator.inquiry.records import (
    Believed,
    CaseAsked,
    Inquiry,
    LogSaid,
    QueryAsked,
    Questioning,
    Risk,
    RowSaid,
    SpanSaid,
    TechniqueSaid,
)
from rlstir_core.results.layout import Layout

TEST_HOST = "k-gamingcom"
BAD = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e\x1b[31m\"' onload=x {{ 7*7 }}"
NS = 10**9


def row(seq: int, text: str = BAD) -> RowSaid:
    return RowSaid(log=f"ep: logs/{BAD}", seq=seq, t_wall_ns=seq * NS, time="2026-03-02 16:11:54.000", text=text)


def span(**more: Any) -> SpanSaid:
    known: dict[str, Any] = {
        "log": "ep",
        "channel": "sysmon",
        "kind": BAD,
        "gap": True,
        "after_seq": 3,
        "before_seq": 9,
        "t_start_wall_ns": 20 * NS,
        "t_end_wall_ns": 50 * NS,
        "time": "t",
        "score": 0.8,
        "reasons": (BAD,),
    }
    return SpanSaid(**(known | more))


def material(**more: Any) -> CaseMaterial:
    """One in which every part says something, and every text is hostile."""
    says = ModelSays(
        name="gbt_realistic",
        model="gbt",
        mode="realistic",
        chosen=True,
        side="test",
        n_members=2,
        phases=(PhaseRun(phase=BAD, start_s=0, end_s=60, probability=0.7),),
        attack=(0.1, 0.9),
        highest=0.9,
        highest_at_s=60.0,
        threshold=0.5,
        threshold_from=BAD,
        first_alarm_s=60.0,
    )
    score = EpisodeScore(
        path="p",
        episode_id="ep",
        host_id="h",
        duration_s=100.0,
        verdict="degraded",
        reasons={BAD: BAD},
        detail=BAD,
        missing_sources=(BAD,),
        missing_channels=(),
        side=BAD,
        rule="",
        distance=None,
        far_beyond=None,
        outside=None,
        unusual=None,
        silent=(),
        window_end_s=(30.0, 60.0),
        models=(says,),
    )
    claim = TechniqueSaid(
        technique="T1105", name=BAD, tactics=(BAD,), score=0.7, named=True, by="encoder", rows=(row(1),)
    )
    log = LogSaid(
        name="ep",
        recording=True,
        n_files=1,
        rows={"sysmon": 2},
        hosts={"h": 2},
        t_first_wall_ns=0,
        t_last_wall_ns=100 * NS,
        unparsed=0,
        unparsed_at=(),
        left_out=0,
        techniques=(claim,),
        tactics={},
        spans=(span(),),
        flagged=(),
    )
    inquiry = Inquiry(
        paths=("p",),
        recipe="host",
        n_logs=1,
        n_rows=2,
        rows={"sysmon": 2},
        hosts={"h": 2},
        t_first_wall_ns=0,
        t_last_wall_ns=100 * NS,
        read=(BAD,),
        techniques=(),
        n_named=1,
        sayable=("T1105",),
        spans=(span(),),
        n_flagged=0,
        n_judged=1,
        risk=Risk(p=0.61, why=BAD),
        attack_rows=(msgspec.structs.replace(row(2), p_attack=0.4),),
        lacks=(BAD,),
        logs=(log,),
    )
    first, last = (Believed(attack=p, tampered=0.2, techniques={"T1105": p}) for p in (0.3, 0.8))
    query = QueryAsked(
        query="signer",
        sentence="Whose program is this.",
        about="program",
        entity=BAD,
        cost=2.0,
        spent=2.0,
        before=first,
        after=last,
        changed={"T1105": (0.3, 0.8)},
        rows=(row(3), row(1)),
    )
    case = CaseAsked(
        name="ep",
        host="h",
        recording=True,
        n_rows=2,
        alert=row(1),
        first=first,
        queries=(query,),
        spent=2.0,
        n_seen=3,
        ended="it stopped",
        declared_by="the frozen detector",
        verdict=last,
        spans=(),
    )
    asked = Questioning(
        paths=("p",), recipe="host", policy="ppo", budget=10.0, n_learnt=8, read=(), names={"T1105": BAD}, cases=(case,)
    )
    shown = LogsShown(
        name="ep",
        host=BAD,
        n_rows=2,
        t_first_wall_ns=0,
        t_last_wall_ns=100 * NS,
        lanes=(TimeLane(channel="sysmon", counts=(0, 4, 2)),),
        trees=(TreeLine(depth=1, name=BAD, detail=BAD, used="", marked=True),),
        n_processes=2,
    )
    known: dict[str, Any] = {
        "name": "ep",
        "paths": (BAD,),
        "synthetic": True,
        "phases": ("clean", BAD),
        "attack_phases": (BAD,),
        "score": score,
        "no_score": "",
        "truth": TruthShown(phases=(PhaseRun(phase=BAD, start_s=46, end_s=100, probability=1.0),), onset_s=46.0),
        "inquiry": inquiry,
        "no_inquiry": "",
        "asked": asked,
        "no_asked": "",
        "logs": (shown,),
        "n_more_logs": 0,
        "start_wall_ns": 0,
    }
    return CaseMaterial(**(known | more))


def assert_whole(html: str) -> None:
    """One file that loads nothing and runs nothing, whose every link leads to a place on it."""
    page = Page(html)
    assert not {"script", "link", "iframe", "img", "object", "base", "form"} & {tag for tag, _ in page.tags}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert not re.search(r"https?:|url\(|@import", html)
    anchors = {attributes["id"] for _, attributes in page.tags if attributes.get("id")}
    links = [str(attributes["href"]) for tag, attributes in page.tags if tag == "a"]
    assert links and {link.removeprefix("#") for link in links} <= anchors


def test_hostile_texts_stay_texts_and_every_link_leads_to_a_row_or_a_query() -> None:
    html = render_case(material(), [BAD])
    assert_whole(html)
    assert not re.search("<script>|\u202e|\x1b", html)
    assert "{{ 7*7 }}" in html  # no template either
    assert html.count("&lt;script&gt;") > 20


def test_the_first_sentences_say_how_late_the_alarm_was_what_was_asked_and_what_is_named() -> None:
    page = Page(render_case(material()))
    assert "the infection began at 46 s, so it was detected 14 s after that" in page.text
    assert "ppo asked 1 query at a cost of 2 and saw 3 of 2 rows: attack 0.80, tampering 0.20" in page.text
    assert "an attack with p 0.61; 1 stretch looks tampered with" in page.text
    early = TruthShown(phases=(), onset_s=75.0)
    assert "called 15 s before that" in Page(render_case(material(truth=early))).text


def test_a_row_that_is_cited_twice_stands_once_among_the_rows() -> None:
    cited = CitedRows("ep")
    first, again = cited.cite(row(1), p="0.3"), cited.cite(row(1))
    assert first["anchor"] == again["anchor"] and len(cited.rows) == 1 and "p" not in again
    assert first["log"].startswith("logs/")


def test_what_cannot_be_said_has_a_sentence_that_says_why() -> None:
    without = material(
        score=None, no_score="no checkpoint", inquiry=None, no_inquiry="no log", asked=None, no_asked="nobody", logs=()
    )
    text = Page(render_case(without)).text
    assert all(f"Not shown: {why}." in text for why in ("no checkpoint", "no log", "nobody"))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({}, "between rows 3 and 9"),
        ({"after_seq": -1}, "before row 9"),
        ({"before_seq": -1}, "after row 3"),
        ({"gap": False}, "rows 3 to 9"),
        ({"gap": False, "before_seq": 3}, "row 3"),
    ],
)
def test_a_stretch_says_which_rows_it_is_or_lies_between(more: dict[str, Any], words: str) -> None:
    assert span(**more).place == words


def test_logs_alone_have_a_page_without_anything_that_was_learnt(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_text(
        "".join(f"Mar  2 10:00:{k:02d} web1 sshd[{k + 100}]: Accepted password for root from 10.0.0.{k} port 22 ssh2\n"
                for k in range(40))
    )  # fmt: skip
    found = gather_case(log, Layout(tmp_path / "data"), tmp_path / "store", registry=default_registry())
    assert found.no_score.startswith("these are logs") and "nobody has learnt to investigate" in found.no_asked
    (shown,) = found.logs
    assert shown.n_rows == 40 and sum(shown.lanes[0].counts) == 40 and shown.lanes[0].channel == "auth"
    text = Page(render_case(found)).text
    assert "40 rows of host web1" in text and found.no_asked in text
    with pytest.raises(StoreError):
        gather_case(tmp_path / "none", Layout(tmp_path), tmp_path, registry=default_registry())


@pytest.mark.slow
def test_the_page_of_an_episode_says_what_the_commands_say(
    driven: Any, invoke: Callable[..., Result], tmp_path: Path
) -> None:
    entry = driven.index.of_host(TEST_HOST)[0]
    where = ("--data", driven.data, "--store", driven.store)
    out = tmp_path / "case.html"
    made = invoke("case", entry.episode_id, *where, "--out", out, "--json")
    assert made.exit_code == 0, made.output
    html = out.read_text()
    assert_whole(html)
    assert len(html.encode()) < 1_500_000
    told = json.loads(made.stdout)["case"]
    scored = json.loads(invoke("score", entry.episode_id, *where, "--json").stdout)["episodes"][0]
    assert told["score"]["models"] == scored["models"]
    path = driven.store / entry.path
    assert told["inquiry"]["logs"] == json.loads(invoke("investigate", path, *where, "--json").stdout)["logs"]
    page = Page(html)
    asked = invoke("investigate", path, *where, "--policy", "ppo", "--json")
    if told["asked"] is None:  # so small a store has nobody who learnt to ask
        assert asked.exit_code == 2 and told["no_asked"] in asked.stderr and told["no_asked"] in page.text
    else:
        (case,) = json.loads(asked.stdout)["cases"]
        assert told["asked"]["cases"] == [case]
        assert f"attack {case['verdict']['attack']:.2f}, tampering {case['verdict']['tampered']:.2f}, says" in page.text
    assert f"{told['logs'][0]['n_rows']:,} rows of host {TEST_HOST}" in page.text
    assert sum(sum(lane["counts"]) for lane in told["logs"][0]["lanes"]) == told["logs"][0]["n_rows"]


@pytest.mark.slow
def test_logs_of_ones_own_have_a_page_and_nothing_to_read_is_refused(
    driven: Any, invoke: Callable[..., Result], tmp_path: Path
) -> None:
    log = tmp_path / "auth.log"
    log.write_text(
        "".join(f"Mar  2 10:00:{k:02d} web1 sshd[{k + 100}]: Accepted password for root from 10.0.0.{k} port 22 ssh2\n"
                for k in range(40))
    )  # fmt: skip
    where = ("--data", driven.data, "--store", driven.store)
    made = invoke("case", log, *where, "--out", tmp_path / "case.html")
    assert made.exit_code == 0 and "no telemetry: these are logs and no episode" in made.stdout
    assert_whole((tmp_path / "case.html").read_text())
    (tmp_path / "empty.log").write_text("")
    refused = invoke("case", tmp_path / "empty.log", *where, "--out", tmp_path / "none.html")
    assert refused.exit_code == 2 and len(refused.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "none.html").exists()
