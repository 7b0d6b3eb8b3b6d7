"""What a row says to a model: what happened, and nothing that names the lab, the host or the label."""

from __future__ import annotations

import pytest

from rlstir_core.investigator.reading.text import COLUMNS, TYPED, HiddenNames, record_text, user_class


def row(**given: str) -> dict[str, str]:
    return dict.fromkeys(COLUMNS, "") | {"channel": "evtx"} | given


@pytest.mark.parametrize(
    ("value", "piece"),
    [
        ("{0F0C501E-ED94-69AB-1900-000000001400}", "<guid>"),
        ("F787FD6C2F173943F83C5E22EFD02293", "<hash>"),
        ("0xdeadbeef", "<hex>"),
        ("10.90.211.54", "<ip>"),
        ("::ffff:10.90.211.54", "<ip>"),
        ("fe80::1c2d:3e4f", "<ip>"),
        ("00:1a:2b:3c:4d:5e", "<mac>"),
        ("4912", "<num>"),
        ("10.0.19041.546", "<num>"),
        ("2026-03-11 23:22:39.940", "<time>"),
        ("23:22:39", "<time>"),
        ("S-1-5-21-219619267-1659569854-374393214-1104", "<sid>"),
        ("QQBBAEIAQwBEAEUARgBHAEgASQBKAEsATABNAE4ATwBQAFEAUgBTAFQA", "<blob>"),
        ("T1059.001", "<id>"),
    ],
)
def test_an_identifier_becomes_the_piece_of_its_type(value: str, piece: str) -> None:
    assert piece in TYPED
    assert record_text(row(channel="auditd", cmdline=f"tool {value} end"), HiddenNames()) == f"auditd: tool {piece} end"


@pytest.mark.parametrize(
    ("user", "wanted"),
    [
        ("NT AUTHORITY\\SYSTEM", "<system>"),
        ("root", "<system>"),
        ("LAB\\svc_backup", "<service>"),
        ("www-data", "<service>"),
        ("LAB\\WEB01$", "<machine>"),
        ("LAB\\i.costa", "<person>"),
        ("anna@lab.example", "<person>"),
        ("-", ""),
        ("", ""),
    ],
)
def test_a_user_is_told_by_class(user: str, wanted: str) -> None:
    assert user_class(user) == wanted


@pytest.mark.parametrize("user", ["svc_sql", "LAB\\svc_backup", "backup_svc", "NT_SERVICE\\MSSQL", "IIS_APPPOOL\\shop"])
def test_a_service_account_is_one_in_a_message_as_well_where_underscores_stand_for_spaces(user: str) -> None:
    said = record_text(
        row(event_id="4624", message=f"P 4624 TargetUserName={user} SubjectUserName=anna"), HiddenNames()
    )
    assert said == "evtx:4624 | targetusername <service> subjectusername <person>"


def test_words_that_end_in_digits_stay_and_long_numbers_in_words_do_not() -> None:
    said = record_text(
        row(channel="auditd", exe="/usr/bin/python3", cmdline="rundll32 ssh2 report_20260311"), HiddenNames()
    )
    assert said == "auditd: python3 rundll32 ssh2 report_<num>"


def test_hosts_users_and_the_labs_domain_are_hidden_wherever_they_stand() -> None:
    names = HiddenNames(hosts=["web01", "WEB01.lab.example"], users=["LAB\\i.costa", "NT AUTHORITY\\SYSTEM"])
    said = record_text(
        row(
            event_id="1",
            exe="C:\\Users\\i.costa\\tool.exe",
            user="LAB\\i.costa",
            cmdline="tool.exe \\\\WEB01\\c$ web01.lab.example db7.lab.example WEB01$ i.costa /home/farid/x.sh "
            "operating system",
            message="P 1 DestinationHostname=files.other.test TargetUserName=i.costa Note=on_web01_by_i.costa",
        ),
        names,
    )
    assert said == (
        "evtx:1 tool.exe <person> tool.exe \\\\<host>\\c$ <host> <host> <machine> <person> /home/<person>/x.sh "
        "operating system | destinationhostname <host> targetusername <person> note on <host> by <person>"
    )


def test_rule_names_are_never_said_not_even_inside_a_rendered_message() -> None:
    for message in (
        "Microsoft-Windows-Sysmon 1 RuleName=technique_id=T1059,technique_name=canary Company=Acme",
        "Microsoft-Windows-Sysmon 1 Message=Create:_RuleName:_technique_id=T1059,canary_UtcTime:_2026 Company=Acme",
        "Process Create: RuleName: technique_id=T1059,technique_name=canary UtcTime: 2026-01-01 Company=Acme",
    ):
        for channel in ("sysmon", "journald"):
            said = record_text(row(channel=channel, event_id="1", message=message), HiddenNames())
            assert "canary" not in said and "t1059" not in said and "acme" in said, said


def test_numbers_that_say_what_kind_of_event_it_is_are_kept() -> None:
    said = record_text(
        row(event_id="4624", message="P 4624 LogonType=10 IpPort=62236 DestinationPort=445 Pid=4912"), HiddenNames()
    )
    assert said == "evtx:4624 | logontype 10 destinationport 445"


def test_a_command_line_is_said_once_and_before_the_message_that_repeats_it() -> None:
    given = row(channel="auth", cmdline="/usr/bin/id", message="anna : USER=root ; COMMAND=/usr/bin/id", user="anna")
    assert record_text(given, HiddenNames(users=["anna"])) == "auth: <person> /usr/bin/id | <person> : ;"
