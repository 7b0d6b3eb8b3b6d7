"""Words of logs and of texts meet; public texts rank all techniques they speak of, and rows tell why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlstir_core.importers.knowledge import import_knowledge
from rlstir_core.investigator.reading.text import HiddenNames
from rlstir_core.investigator.techniques.decide import NOTHING, Naming, choose_naming, margins, micro_f1
from rlstir_core.investigator.techniques.documents import Document, RowWordsReader, rows_document, text_document
from rlstir_core.investigator.techniques.knowledge import Knowledge, fitted
from rlstir_core.investigator.techniques.labels import LABELS
from rlstir_core.investigator.techniques.tactics import (
    TACTICS,
    averaged,
    fit_tactics,
    tactic_posteriors,
    tactic_table,
)
from rlstir_core.investigator.techniques.wording import event_key, event_words, words
from rlstir_core.results.layout import Layout

TEXTS = (
    ("T1003.001", "rundll32 comsvcs minidump lsass", ("@sysmon|1",)),
    ("T1003.001", "procdump lsass dump memory", ()),
    ("T1053.005", "schtasks create task daily", ()),
    ("T1098", "computer account changed delegation", ()),
    ("T1218.011", "rundll32 shell32 control panel", ()),
    ("T1555.003", "browser password login data", ()),
)
CANARY = "canary-host"
FIELDS = {
    "CommandLine": r"C:\Users\eve\rundll32.exe comsvcs.dll, MiniDump /full 0x1410",
    "Image": r"C:\Windows\System32\rundll32.exe",
    "RuleName": "technique_id=T1003,canaryrule",
    "ParentImage": r"C:\canaryparent.exe",
    "CurrentDirectory": r"C:\canaryfolder",
    "Hashes": "MD5=canaryhash",
    "User": r"LAB\canaryuser",
    "UtcTime": "canarytime",
    "LogonId": "canaryid",
    "DestinationHostname": "canaryplace",
}


def model(labelled: Any = ()) -> Knowledge:
    documents = [text_document(text, events) for _, text, events in TEXTS]
    found = fitted(documents, [(technique,) for technique, *_ in TEXTS], labelled)
    assert found is not None
    return found


def row(fields: dict[str, Any], event: str = "1", provider: str = "Microsoft-Windows-Sysmon") -> dict[str, str]:
    return {
        "channel": "sysmon" if provider.endswith("Sysmon") else "evtx",
        "provider": provider,
        "event_id": event,
        "exe": "",
        "cmdline": "",
        "message": "",
        "fields_json": json.dumps(fields),
    }


def test_words_of_logs_and_of_texts_are_split_alike() -> None:
    assert words("reg.exe add hklm_run\\currentversion /v -f <guid> <person>") == [
        "reg", "add", "hklm", "run", "currentversion", "-v", "-f", "<person>"
    ]  # fmt: skip
    assert event_key("Microsoft-Windows-Sysmon", "1") == "@sysmon|1"
    assert event_key("Microsoft-Windows-Eventlog", "1102") == "@security|1102"
    assert event_key("Microsoft-Windows-Eventlog", "104") == "@system|104"
    assert event_key("Some Vendor-Thing!", "7") == "@somevendorthing|7"
    assert event_key("auditd", "SYSCALL") == ""
    assert "account" in event_words()["@security|4742"]


def test_every_field_is_read_but_no_name_time_place_or_label() -> None:
    nested = {"Event": {"System": {"Computer": CANARY, "Channel": "canarychannel"}, "EventData": FIELDS}}
    flat = {"Hostname": CANARY, "SourceName": "canarysource", "@timestamp": "canarytime", **FIELDS}
    named = {"Event": {"EventData": {"Data": [{"Name": name, "#text": value} for name, value in FIELDS.items()]}}}
    reader = RowWordsReader(HiddenNames([CANARY], ["eve"]))
    read = [reader(row(fields)) for fields in (nested, flat, named)]
    assert read[0].words == read[1].words == read[2].words and all(each.telling for each in read)
    assert set(read[0].words) >= {"rundll32", "comsvcs", "minidump", "-full", "0x1410"}
    assert not any("canary" in word or word == "eve" for word in read[0].words)
    assert read[0].document["@sysmon|1"] == 1.0


def test_the_lines_that_every_powershell_event_has_are_left_out() -> None:
    lines = ("Severity = Informational", "Host Application = powershell.exe -nop", "Host ID = x")
    said = "\r\n".join(f"        {line}" for line in lines)
    read = RowWordsReader(HiddenNames())(
        row({"ContextInfo": said, "Payload": "x"}, "4103", "Microsoft-Windows-PowerShell")
    )
    assert read.words == ("powershell", "-nop") and read.telling


def test_a_row_with_a_command_outweighs_rows_that_repeat_themselves() -> None:
    reader = RowWordsReader(HiddenNames())
    background = [reader(row({"ImageLoaded": f"lib{'abcdefghij'[n % 10]}.dll system"}, "7")) for n in range(50)]
    command = reader(row({"CommandLine": "certutil -decode"}))
    document = rows_document([*background, command])
    assert document["certutil"] > 5 * document["system"]
    assert document == rows_document([command, *background, *background])


@pytest.mark.parametrize(
    "raw", ["", "[1]", '{"a":', '{"a":' * 60 + "1" + "}" * 60, '{"a": "\\ud800"}', '{"EventID": 1e999}']
)
def test_a_record_that_is_no_event_says_nothing_but_its_kind(raw: str) -> None:
    read = RowWordsReader(HiddenNames())(row({}) | {"fields_json": raw})
    assert (read.kind, read.words) == ("@sysmon|1", ())


def test_a_row_of_another_log_is_read_from_its_columns() -> None:
    given = row({}) | {"channel": "auditd", "event_id": "EXECVE", "cmdline": "crontab -e", "message": "cron edit"}
    read = RowWordsReader(HiddenNames())(given)
    assert (read.kind, read.telling, read.words) == ("auditd", True, ("crontab", "-e", "cron", "edit"))


def test_all_ids_are_ranked_and_the_rows_that_speak_for_one_are_told() -> None:
    rows: list[Document] = [text_document(text) for text in ("explorer desktop", "rundll32 comsvcs minidump", "lsass")]
    found = model().ranked([rows[1], {}], Naming(margin=0.2))
    assert found[0].techniques[0] == "T1003.001" and found[0].named == {"T1003.001"} and not found[0].abstained
    assert set(found[0].techniques) == {"T1003", "T1003.001", "T1053", "T1053.005", "T1098", "T1218", "T1218.011"} | {
        "T1555", "T1555.003"
    }  # fmt: skip
    assert found[1].abstained and found[1].margin == 0.0
    said = model().speaks_for([*rows, rows[1]], "T1003.001")
    assert [each.place for each in said] == [1, 2] and "minidump" in said[0].words
    assert model().speaks_for(rows, "T9999") == []


def test_an_event_says_in_words_what_has_happened() -> None:
    assert model().ranked([{"@security|4742": 1.0}])[0].techniques[0] == "T1098"


def test_the_prior_is_nothing_for_an_empty_log_and_rolls_up_what_the_label_space_lacks() -> None:
    prior = model().prior([{}, text_document("browser password")])
    assert prior.shape == (2, len(LABELS)) and np.allclose(prior[0], 0.0)
    assert LABELS[int(prior[1].argmax())] == "T1555"  # T1555.003 is outside
    assert prior[1, LABELS.index("T1496")] == prior[1].min()  # nothing speaks of it
    assert model().prior([]).shape == (0, len(LABELS))


def test_the_sums_of_a_class_give_the_model_that_its_documents_give() -> None:
    from scipy.sparse import csr_matrix
    from sklearn.naive_bayes import ComplementNB

    found = model()
    rows, classes, weights = [], [], []
    for x, (technique, *_) in zip(found.text_DV, TEXTS, strict=True):
        rows += [x.toarray()[0]] * (2 if "." in technique else 1)
        classes += [technique, technique.partition(".")[0]][: 2 if "." in technique else 1]
        weights += [1.0, 0.2][: 2 if "." in technique else 1]
    peer = ComplementNB(alpha=0.3, norm=True).fit(csr_matrix(np.array(rows)), classes, sample_weight=weights)
    expected = peer.feature_log_prob_ - peer.feature_log_prob_.mean(axis=0)
    assert np.allclose(found.weight_VC, expected.T * len(found.place), atol=1e-5)


def test_labelled_logs_join_the_texts_as_further_documents() -> None:
    log = text_document("lsass dump memory task")
    assert "T1490" not in model().ids
    assert model([(log, ("T1490",))]).ranked([log])[0].techniques[0] == "T1490"


def test_a_log_that_is_much_alike_does_not_outvote_the_texts_of_a_technique() -> None:
    log = text_document("lsass minidump comsvcs rundll32 backup helpdesk")
    told, of_texts = model([(log, ("T1053.005",))]), model()
    column = told.ids.index("T1053.005")
    assert told._nearest(told._vectors([log]))[0, column] == of_texts._nearest(of_texts._vectors([log]))[0, column]
    assert told.ranked([log])[0].techniques[0] == of_texts.ranked([log])[0].techniques[0] == "T1003.001"


def test_tactics_come_through_the_table_and_are_averaged_with_what_labelled_logs_say(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    texts = [
        {"source": "attack", "id": "T1555.003", "techniques": ["T1555.003"], "kind": "prose", "text": "browser"},
        {"source": "attack", "id": "T1027.004", "techniques": ["T1027.004"], "kind": "prose", "text": "compile"},
    ]
    texts[0]["tactics"], texts[1]["tactics"] = ["TA0006"], ["TA0005"]
    (tmp_path / "k.jsonl").write_text("\n".join(map(json.dumps, texts)))
    import_knowledge([tmp_path / "k.jsonl"], layout.knowledge)
    table = tactic_table(layout)
    assert table["T1555.003"] == ("credential-access",)
    assert table["T1027.004"] == ("stealth", "defense-impairment")  # defense evasion was divided
    assert table["T1053.005"] == ("execution", "persistence", "privilege-escalation")
    found, asked = model(), [text_document("lsass minidump")]
    tactic_ET = tactic_posteriors(found.log_posteriors(asked), found.ids, table)
    assert TACTICS[int(tactic_ET[0].argmax())] == "credential-access"
    assert np.isclose(np.exp(tactic_ET).sum(), 1.0)
    logs = fit_tactics([asked[0], text_document("other words"), {}], [("impact",), ("discovery",), ("gardening",)])
    both = averaged(tactic_ET, logs, asked)
    impact = TACTICS.index("impact")
    assert both[0, impact] > tactic_ET[0, impact] and averaged(tactic_ET, None, asked) is tactic_ET


def test_a_margin_is_chosen_where_scores_lie_higher_in_some_logs_and_a_threshold_where_logs_carry_several() -> None:
    shifted = np.array([[5.0, 3.0, 2.0], [1.0, 9.0, 8.9], [0.1, 0.2, 2.0]])
    one_each = np.eye(3, dtype=bool)
    rule = choose_naming(shifted, one_each)
    assert rule.threshold == NOTHING and micro_f1(rule.named(shifted), one_each) == 1.0
    level = np.array([[5.0, 4.9, 1.0], [1.0, 5.0, 4.8]])
    several = np.array([[True, True, False], [False, True, True]])
    rule = choose_naming(level, several)
    assert rule == Naming(threshold=4.8) and micro_f1(rule.named(level), several) == 1.0
    assert choose_naming(level, np.zeros((2, 3), bool)) == Naming()
    assert margins(np.ones((2, 1))).tolist() == [NOTHING, NOTHING]
