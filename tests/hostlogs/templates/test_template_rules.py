"""What makes lines share a template: commands in quotes, optional parts, objects, names, lists of values."""

from __future__ import annotations

import pytest

from rlstir_core.hostlogs.templates.groups import group
from rlstir_core.hostlogs.templates.mined import templates
from rlstir_core.hostlogs.templates.text import fill, parameters


def _texts(*messages: str) -> list[str]:
    found = templates(messages)
    return [found.texts[one] for one in found.ids]


@pytest.mark.parametrize("quote", ['"', "'"])
def test_commands_in_quotes_stay_apart_whatever_query_or_version_some_lines_have(quote: str) -> None:
    urls = ["/v2/a1/servers", "/v2/a1/servers?limit=5&all=True", "/x?wsdl", "/", "/s?q=a%20b", "/deep/er/path?x=/a"]
    messages = [
        f"10.0.0.{i} {quote}{verb} {url} HTTP/1.{version}{quote} status: 200 len: {i}"
        for i, (verb, url, version) in enumerate(
            (verb, url, version)
            for verb in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
            for url in urls
            for version in (0, 1)
        )
    ]
    texts = set(_texts(*messages))
    assert texts == {
        f"<*> {quote}{verb} <*> HTTP/1.{version}{quote} status: <*> len: <*>"
        for verb in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
        for version in (0, 1)
    }


def test_what_is_quoted_and_no_command_is_a_parameter_as_before() -> None:
    agents = ["curl/7.1", "Mozilla/5.0 (X11; Linux)", "Wget/1.2 (a b)", "kube-probe/1.9", "Go-http/2.0 x", "bot/3.1 y"]
    assert set(_texts(*(f'agent is "{agent}" here' for agent in agents))) == {'agent is "<*>" here'}


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        (["opened for root by (uid=0)", "opened for root by ()"], "opened for root by (<*>)"),
        (["from 1.2.3.4 (a.example.com) at 5", "from 1.2.3.4 () at 5"], "from <*> (<*>) at <*>"),
        (["sent 5 bytes (1.2 KB) today", "sent 5 bytes today"], "sent <*> bytes<*> today"),
        (["sent 5 bytes (1.2 KB) today", "sent 7 bytes (3 MB) today"], "sent <*> bytes (<*> <*>) today"),
        (["sent 5 bytes (1.2 KB) today", "sent 7 bytes (3.5 KB) today"], "sent <*> bytes (<*> KB) today"),
        (["client 1.2.3.4 left", "client 1.2.3.4:80 left"], "client <*> left"),
        (["client 4.3.2.1:443 left", "client 1.2.3.4:80 left"], "client <*>:<*> left"),
        (["lock ws=null end", "lock ws=Work{12} end", "lock ws=Work{12 com.x} end"], "lock ws=<*> end"),
        (["see Window{1f2e3d4 u0 Bar} now", "see Window{1f2e3d4 u0 Foo} now"], "see Window{<*> u0 <*>} now"),
        (["see Window{1f2e3d4 u0 Bar} now", "see Window{1f2e3d4} now"], "see Window{<*>} now"),
    ],
)
def test_lines_with_and_without_an_optional_part_share_a_template(messages: list[str], text: str) -> None:
    assert set(_texts(*messages)) == {text}
    for message in messages:
        values = parameters(text, message)
        assert values is not None and fill(text, values) == message
    found = templates(messages)
    assert [len(kinds) for kinds in found.types.values()] == [text.count("<*>")]


def test_several_optional_parts_are_told_apart_wherever_they_stand() -> None:
    sizes = ["", " (1.5 KB)", " (2 MB)"]
    messages = [f"1.2.3.4:80 close, 5 bytes{a} sent, 6 bytes{b} received" for a in sizes for b in sizes]
    text = "<*>:<*> close, <*> bytes<*> sent, <*> bytes<*> received"
    assert set(_texts(*messages)) == {text}
    assert parameters(text, messages[5]) == ["1.2.3.4", "80", "5", " (1.5 KB)", "6", " (2 MB)"]


def test_words_in_brackets_are_no_optional_part() -> None:
    messages = ["e820: range 1 (usable)", "e820: range 1 (reserved)", "e820: range 1", "call(1) e820", "call e820"]
    assert len(set(_texts(*messages))) == 5


def test_names_with_their_packages_are_parameters_and_errors_and_states_are_not() -> None:
    names = [("org.acme.v2.Server", "com.acme.Main$Loop"), ("org.acme.Client", "com.acme.mail.Box")]
    assert set(_texts(*(f"Registering {a} for {b} done" for a, b in names))) == {"Registering <*> for <*> done"}
    for kept in (("java.io.IOException", "java.lang.Error"), ("action.screen.SCREEN_ON", "action.screen.SCREEN_OFF")):
        assert len(set(_texts(*(f"closing because of {name} seen" for name in kept)))) == 2


def test_a_truth_value_makes_no_parameter_of_the_words_in_its_place() -> None:
    assert set(_texts("visible is true", "visible is false", "visible is unset")) == {
        "visible is <*>",
        "visible is unset",
    }


def test_values_in_a_list_of_them_are_parameters_and_a_state_after_a_colon_is_not() -> None:
    messages = [f"Plan a1b2c3d4, current: {a}, start: {b}" for a in ("Absent", "Staged") for b in ("Staged", "Absent")]
    assert set(_texts(*messages)) == {"Plan <*>, current: <*>, start: <*>"}
    assert len(set(_texts("worker 5: stopped, bye", "worker 5: started, bye"))) == 2
    said = [f"power source information: {word}, kind: Normal, left: 5, plugged: No" for word in ("onSleep", "onWake")]
    assert _texts(*said) == [text.replace("5", "<*>") for text in said]


def test_registers_and_places_of_a_machine_are_parameters() -> None:
    assert set(_texts("r00=0x1 r01=0x2 r02=0x3", "r03=0x1 r03=0x5 r01=0x6")) == {"r<*>=<*> r<*>=<*> r<*>=<*>"}
    assert set(_texts("sparing on R00-M1", "sparing on R23-M0-N4")) == {"sparing on <*>"}
    assert set(_texts("chip FF:F2:9F:16:DD:23:00:0D:60:E9:1E:B3 lost", "chip aa:bb:cc:dd:ee:ff lost")) == {
        "chip <*> lost"
    }
    assert _texts("token is a.b.Proxy@fbabbed") == ["token is a.b.Proxy@<*>"]


def test_values_that_change_places_are_not_taken_for_equal_lines() -> None:
    words = [
        f"{first}{second}" for first in ("red", "blue", "green", "grey") for second in ("fox", "ant", "owl", "elk")
    ]
    for one in words:
        for two in words:
            if one < two:
                ends = ((one, "or", two), (two, "or", one))
                keys = [
                    (*start, *end)
                    for start, end in zip((("user", "alice", "in"), ("user", "bob", "in")), ends, strict=True)
                ]
                keys += [("hers", "carol", "on", *end) for end in ends]
                assert group(keys) == keys
