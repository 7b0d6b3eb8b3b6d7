"""Identifiers: whatever is accepted may stand in a path, a partition key or a report."""

from __future__ import annotations

import string
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlstir_core.errors import InvalidId, RlstirError
from rlstir_core.ids import MAX_LENGTH, episode_id, fold, host_id, is_safe, safe_name, slug

ALPHABET = set(string.ascii_letters + string.digits + "._-")
NEAR_SAFE = st.text(alphabet=string.ascii_letters + string.digits + "._-/\\|é\n ", max_size=70)


@given(st.one_of(st.text(max_size=80), NEAR_SAFE))
def test_what_safe_name_accepts_is_one_plain_path_component(text: str) -> None:
    try:
        name = safe_name(text)
    except InvalidId:
        return
    assert name == text and 1 <= len(name) <= MAX_LENGTH and set(name) <= ALPHABET
    assert PurePosixPath(name).parts == (name,) and PureWindowsPath(name).parts == (name,)
    assert ".." not in name and name[0].isalnum()


@given(st.one_of(st.text(max_size=120), NEAR_SAFE))
def test_slug_always_gives_a_safe_name(text: str) -> None:
    assert is_safe(slug(text))


@given(NEAR_SAFE.filter(is_safe))
def test_identifiers_that_differ_in_case_alone_are_the_same(name: str) -> None:
    assert fold(name.upper()) == fold(name.lower()) == fold(name)


@pytest.mark.parametrize("name", ["a", "9", "ep-17", "host.a_B-c", "x" * MAX_LENGTH, "sha256-0.1"])
def test_ordinary_names_are_accepted(name: str) -> None:
    assert host_id(name) == episode_id(name) == name


HARMFUL = [
    "",
    ".",
    "..",
    "a..b",
    ".hidden",
    "-rf",
    "_x",
    "a/b",
    "a\\b",
    "a|b",
    "a b",
    "a\n",
    "\x00",
    "é",
    "١",
    "x" * 64,
]
HARMFUL += ["<b>", "a\u202eb"]


@pytest.mark.parametrize("text", [*HARMFUL, None, 7, b"bytes", ["list"]])
def test_a_name_that_could_do_harm_is_refused_with_the_rule(text: object) -> None:
    with pytest.raises(InvalidId, match="is not a safe identifier; use ASCII letters") as caught:
        safe_name(text, "sample_name")
    assert "sample_name" in str(caught.value) and isinstance(caught.value, RlstirError)
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)
