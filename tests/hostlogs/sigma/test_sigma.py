"""Sigma rules: importing them needs no pySigma; with it they are matched on rows as their words say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import Result

from rlstir_core.errors import StoreError, UpstreamMissing
from rlstir_core.hostlogs.sigma.events import event_of
from rlstir_core.hostlogs.sigma.matching import Matcher
from rlstir_core.hostlogs.sigma.rules import Rule, pysigma_version, read_rules
from rlstir_core.importers.sigma import import_sigma

needs_pysigma = pytest.mark.skipif(not pysigma_version(), reason="pySigma is not installed (the extra `sigma`)")
HEAD = "title: {0}\nid: 6e22722b-dfb1-4508-a911-49ac840b40f8\nstatus: test\ndate: 2024-05-01\n"
ENCODED = """level: high
tags: [attack.execution, attack.t1059.001, attack.t1562.001]
logsource: {product: windows, category: process_creation}
detection:
  image: {Image|endswith: ['\\powershell.exe', '\\pwsh.exe']}
  told: {CommandLine|contains|all: [' -enc', 'a*d?f']}
  filter_of_a_tool: {ParentImage|startswith: 'C:\\Tools\\'}
  condition: image and told and not 1 of filter_*
"""
CLEARED = """level: critical
tags: [attack.t1070.001]
logsource: {product: windows, service: security}
detection: {selection: {EventID: 1102}, condition: selection}
"""
WORD = """tags: [attack.t1110]
logsource: {product: linux, service: sshd}
detection: {keywords: ['Failed password', 'refused*key'], condition: keywords}
"""

# What published rules look like: several selections, lists of maps, `1 of`, optional filters, tags of every kind.
DUMPED = """related:
    - {id: 7b0c5d0e-9a45-4b43-8a76-5c2f5a0c1a02, type: similar}
references: ['https://example.com/dumping']
modified: 2026-08-02
tags: [attack.credential-access, attack.defense-evasion, attack.t1003.001, attack.s0002, detection.threat-hunting]
logsource: {category: process_creation, product: windows}
detection:
    selection_img:
        - Image|endswith: '\\rundll32.exe'
        - OriginalFileName: 'RUNDLL32.EXE'
    selection_cli_1:
        CommandLine|contains|all: ['comsvcs', 'full']
    selection_cli_2:
        CommandLine|contains: ['#+', '#24', '24 ', 'MiniDump']
    filter_main_parent:
        ParentImage|endswith: '\\werfault.exe'
    filter_optional_null:
        CommandLine: null
    condition: selection_img and all of selection_cli_* and not 1 of filter_main_* and not 1 of filter_optional_*
falsepositives: [Unlikely]
level: high
"""
JOINED = """tags: [attack.persistence, attack.t1098, attack.g0016]
logsource: {product: windows, service: security}
detection:
    selection: {EventID: [4732, 4728]}
    selection_group1: {TargetUserName|startswith: 'Administr'}
    selection_group2: {TargetSid: 'S-1-5-32-544'}
    filter: {SubjectUserName|endswith: '$'}
    condition: selection and (1 of selection_group*) and not filter
level: medium
"""
INSTALLED = """tags: [attack.execution, attack.t1569.002, attack.t1543.003, car.2013-09-005]
logsource: {product: windows, service: system}
detection:
    selection_id: {Provider_Name: 'Service Control Manager', EventID: 7045}
    selection_path: {ImagePath|re: '(?i).*(?:%comspec%|cmd(?:\\.exe)?\\s+/[ck]|powershell).*'}
    condition: all of selection_*
level: high
"""
RUN_KEY = """tags: [attack.persistence, attack.t1547.001]
logsource: {category: registry_set, product: windows}
detection:
    selection: {TargetObject|contains: ['\\CurrentVersion\\Run', '\\CurrentVersion\\RunOnce']}
    selection_where:
        - Details|contains: [':\\Users\\Public\\', '\\AppData\\', '%TEMP%']
        - Details|startswith: ['cmd', 'mshta']
    filter_main_empty: {Details: '(Empty)'}
    condition: all of selection* and not 1 of filter_main_*
level: high
"""
LINKED = """tags: [attack.t1070.003]
logsource: {product: linux, service: auditd}
detection:
    selection: {type: EXECVE, a0|endswith: 'ln', a1: '-sf', a2: '/dev/null'}
    condition: selection
level: medium
"""
MANY = """correlation:
    type: event_count
    rules: [failed_logon]
    group-by: [IpAddress]
    timespan: 5m
    condition: {gte: 10}
tags: [attack.t1110]
level: high
"""


def row(channel: str = "sysmon", provider: str = "Microsoft-Windows-Sysmon", **more: Any) -> dict[str, str]:
    fields = more.pop("fields", {})
    plain = {"event_id": "1", "exe": "", "cmdline": "", "user": "", "message": ""} | more
    return {"channel": channel, "provider": provider, "fields_json": msgspec.json.encode(fields).decode()} | plain


def created(image: str, command: str, **more: str) -> dict[str, str]:
    data = {"Image": image, "CommandLine": command} | more
    return row(fields={"Event": {"System": {"EventID": 1, "Channel": "x"}, "EventData": data}})


def put(folder: Path, **texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.yml").write_text((HEAD.format(name) if "title" not in text else "") + text)
    return folder


def rules_of(folder: Path, **texts: str) -> tuple[tuple[Rule, ...], dict[str, int]]:
    import_sigma([put(folder / "in", **texts)], folder / "rules.jsonl")
    found = read_rules(folder / "rules.jsonl")
    return found.rules, found.unused


def test_rules_are_kept_once_in_a_fixed_order_and_other_yaml_is_passed_over(tmp_path: Path) -> None:
    rules = put(tmp_path / "in", cleared=CLEARED, encoded=ENCODED)
    (rules / "twice.yml").write_text((rules / "cleared.yml").read_text() + "---\nglobal: yes\n")
    (rules / "bomb.yml").write_text("a: &a [x]\nb: *a\n")
    (rules / "notes.txt").write_text("nothing")
    made = import_sigma([rules], tmp_path / "one")
    assert (made.n_rules, made.n_with_technique, made.n_twice) == (2, 2, 1)
    assert len(made.faults) == 1 and made.faults[0].startswith("bomb.yml: ConfigError an alias")
    import_sigma([rules / "encoded.yml", rules / "cleared.yml"], tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with pytest.raises(StoreError, match=r"no Sigma rule in .*bomb\.yml: ConfigError"):
        import_sigma([rules / "bomb.yml"], tmp_path / "three")
    with pytest.raises(StoreError, match="is not there"):
        import_sigma([tmp_path / "nowhere"], tmp_path / "three")


def test_the_command_says_what_it_kept_and_what_to_do_next(invoke: Any, tmp_path: Path) -> None:
    done: Result = invoke("import", "sigma", put(tmp_path / "in", cleared=CLEARED), "--data", tmp_path / "data")
    assert done.exit_code == 0, done.output
    assert "1 rules, 1 of them name a technique" in done.output and "rlstir materialize" in done.output
    assert (tmp_path / "data" / "processed" / "sigma_v1.jsonl").exists()


@needs_pysigma
def test_a_rule_matches_what_its_words_say_and_names_techniques_of_now(tmp_path: Path) -> None:
    rules, unused = rules_of(tmp_path, encoded=ENCODED, cleared=CLEARED, word=WORD)
    named = {rule.title: rule for rule in rules}
    assert not unused and named["encoded"].techniques == ("T1059.001", "T1685")
    assert [named[name].level for name in ("word", "encoded", "cleared")] == [1, 4, 5]
    matcher = Matcher(rules)

    def said(of: dict[str, str]) -> list[str]:
        return [rules[place].title for place in matcher.matched(of)]

    shell = "C:\\Windows\\PowerShell.EXE"
    for _ in range(2):  # the second time from what is remembered
        assert said(created(shell, "x -Enc abcdef")) == ["encoded"]
        assert said(created(shell, "x -enc abcdf")) == []  # `?` is one character
        assert said(created(shell, "abcdef")) == said(created("C:\\x.exe", "x -enc abcdef")) == []
        assert said(created(shell, "x -enc abcdef", ParentImage="c:\\tools\\x.exe")) == []
    old = {"EventID": 4688, "Channel": "Security", "NewProcessName": shell, "CommandLine": "-enc a.d.f", "A": None}
    of_4688 = row("evtx", "Microsoft-Windows-Security-Auditing", event_id="4688", fields=old)
    assert said(of_4688) == [] and event_of(of_4688).fields["Image"] == shell
    assert said(of_4688 | {"fields_json": of_4688["fields_json"].replace("-enc", "x -enc")}) == ["encoded"]
    cleared = {"Event": {"System": {"EventID": 1102, "Channel": "Security"}, "UserData": {}}}
    assert said(row("evtx", "Microsoft-Windows-Eventlog", event_id="1102", fields=cleared)) == ["cleared"]
    assert said(row("evtx", "Other", event_id="1102", fields={})) == []
    failed = row("auth", "sshd", event_id="", message="FAILED password for root", fields={})
    assert said(failed) == ["word"] and said(failed | {"provider": "su"}) == []
    assert said(failed | {"message": "refused this key"}) == ["word"]


def written(provider: str, channel: str, event: int, **data: str) -> dict[str, str]:
    event_of_it = {"System": {"EventID": event, "Channel": channel}, "EventData": data}
    of = "sysmon" if provider.endswith("Sysmon") else "evtx"
    return row(of, provider, event_id=str(event), fields={"Event": event_of_it})


@needs_pysigma
def test_rules_as_they_are_published_find_the_rows_that_they_are_about(tmp_path: Path) -> None:
    rules, unused = rules_of(
        tmp_path, dumped=DUMPED, joined=JOINED, installed=INSTALLED, run_key=RUN_KEY, linked=LINKED, many=MANY
    )
    assert unused == {"a correlation of several rules": 1}
    named = {rule.title: rule.techniques for rule in rules}
    assert named["dumped"] == ("T1003.001",) and named["installed"] == ("T1569.002", "T1543.003")
    matcher = Matcher(rules)

    def said(of: dict[str, str]) -> list[str]:
        return [rules[place].title for place in matcher.matched(of)]

    sysmon, security = "Microsoft-Windows-Sysmon", "Microsoft-Windows-Security-Auditing"
    dump = "rundll32.exe C:\\Windows\\System32\\comsvcs.dll, MiniDump 640 C:\\a.bin full"
    assert said(created("C:\\Windows\\System32\\rundll32.exe", dump)) == ["dumped"]
    assert said(created("C:\\x.exe", dump, OriginalFileName="rundll32.exe")) == ["dumped"]
    assert said(created("C:\\rundll32.exe", dump, ParentImage="C:\\WerFault.exe")) == []
    assert said(created("C:\\rundll32.exe", "rundll32 shell32.dll")) == []
    assert said(written(security, "Security", 4732, TargetSid="S-1-5-32-544", SubjectUserName="anna")) == ["joined"]
    assert said(written(security, "Security", 4728, TargetUserName="Administrators")) == ["joined"]
    assert said(written(security, "Security", 4728, TargetUserName="Users")) == []
    assert said(written(security, "Security", 4732, TargetSid="S-1-5-32-544", SubjectUserName="DC1$")) == []
    service = "Service Control Manager"
    assert said(written(service, "System", 7045, ImagePath="%COMSPEC% /Q /c echo")) == ["installed"]
    assert said(written(service, "System", 7045, ImagePath="C:\\tools\\agent.exe")) == []
    assert said(written(service, "System", 7036, ImagePath="cmd /c x")) == []
    key = "HKU\\S-1-5-21\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\x"
    where = "Microsoft-Windows-Sysmon/Operational"
    assert said(written(sysmon, where, 13, TargetObject=key, Details="C:\\Users\\Public\\a.exe")) == ["run_key"]
    assert said(written(sysmon, where, 13, TargetObject=key, Details="(Empty)")) == []
    assert said(written(sysmon, where, 12, TargetObject=key, Details="cmd /c")) == []
    linked = {"records": [{"fields": {"a0": "/bin/ln", "a1": "-sf", "a2": "/dev/null"}}]}
    assert said(row("auditd", "auditd", event_id="EXECVE", fields=linked)) == ["linked"]
    assert said(row("auditd", "auditd", event_id="SYSCALL", fields=linked)) == []


@needs_pysigma
@pytest.mark.parametrize(
    ("selection", "right", "wrong"),
    [
        ("{A|re: '^a.+c$'}", "abc", "Abc"),
        ("{A|re|i: '^a.+c$'}", "Abc", "ac"),
        ("{A|cidr: 10.0.0.0/8}", "10.2.3.4", "no address"),
        ("{A|base64offset|contains: http}", "x aHR0cDov", "http"),
        ("{A|windash|contains: ' -x'}", "y /x", "y x"),
        ("{A|gt: 3}", "4", "three"),
        ("{A|cased|contains: Zz}", "aZzb", "azzb"),
        ("{A: 5}", "5", "50"),
        ("{A: true}", "true", "false"),
        ("{A: 'a*'}", "abc", "ba"),
        ("{A: ''}", "", "x"),
        ("{A: '*'}", "x", ""),
        ("{A|fieldref: B}", "B", "C"),
        ("{C|exists: false, A: x}", "X", "y"),
    ],
)
def test_every_way_to_ask_is_asked(selection: str, right: str, wrong: str, tmp_path: Path) -> None:
    head = "tags: [attack.t1110]\nlogsource: {product: windows}\n"
    (rule,), unused = rules_of(tmp_path, one=f"{head}detection: {{s: {selection}, condition: s}}\n")
    asked = Matcher([rule])
    found = [
        asked.matched(row(fields={"Event": {"System": {"EventID": 1}, "EventData": {"A": value, "B": "b"}}}))
        for value in (right, wrong)
    ]
    assert not unused and found == [[0], []]


@needs_pysigma
def test_what_cannot_be_matched_is_counted_and_named(tmp_path: Path) -> None:
    tail = "detection: {s: {A: 1}, condition: s}\n"
    head = "tags: [attack.t1110]\nlogsource: {product: windows}\n"
    rules, unused = rules_of(
        tmp_path,
        cloud="tags: [attack.t1110]\nlogsource: {product: aws}\n" + tail,
        mail="tags: [attack.t1110]\nlogsource: {product: windows, service: pigeon}\n" + tail,
        file="tags: [attack.t1110]\nlogsource: {product: linux, category: file_event}\n" + tail,
        tactic="tags: [attack.execution]\nlogsource: {product: windows}\n" + tail,
        asked=head + tail.replace("A: 1", "A|re: '(?=x)'"),
        broken="tags: [attack.t1110]\nlogsource: {product: windows}\n"
        + tail.replace("condition: s", "condition: s and"),
        left=head + tail.replace("A: 1", "A|expand: '%x%'"),
    )
    assert not rules and sum(unused.values()) == 7
    assert {"it names no technique", "logs of aws", "the service pigeon of windows", "a placeholder"} <= set(unused)
    (tmp_path / "rules.jsonl").write_text("{")
    with pytest.raises(UpstreamMissing, match="import the rules again"):
        read_rules(tmp_path / "rules.jsonl")
