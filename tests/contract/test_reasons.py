"""Reason codes: each says what it means, each is used, none is spelled anywhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import msgspec

from rlstir_core.contract.reasons import FAMILIES, EpisodeRejected, ReasonCode
from rlstir_core.episodes.store.index import StoreFault

ROOT = Path(__file__).parents[2]
MODULES = [path for package in ("rlstir_core", "rlstir_assets") for path in sorted((ROOT / package).rglob("*.py"))]
DECLARED = ROOT / "rlstir_core" / "contract" / "reasons.py"


def test_a_code_is_family_and_detail_and_has_a_sentence_and_a_remedy() -> None:
    assert set(FAMILIES) == {"archive", "meta", "json", "channel", "time", "label", "index"}
    for code in ReasonCode:
        assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", code), code
        assert code.name == code.value.upper().replace(".", "_")
        for text in (code.meaning, code.remedy):
            assert text.strip() == text and text and not text.endswith(".") and "|" not in text, code


def test_codes_of_one_family_stand_together_in_the_order_of_their_names() -> None:
    codes = list(ReasonCode)
    assert codes == sorted(codes, key=lambda code: (FAMILIES.index(code.family), code.value))


def test_every_code_is_used() -> None:
    used = set()
    for path in MODULES:
        if path != DECLARED:
            used |= set(re.findall(r"\bReasonCode\.([A-Z_0-9]+)\b", path.read_text()))
    assert used == {code.name for code in ReasonCode}


def test_a_text_that_looks_like_a_code_is_one() -> None:
    looks = re.compile(rf"(?:{'|'.join(FAMILIES)})\.(?!(?:jsonl?|html)$)[a-z_]+")
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and looks.fullmatch(node.value):
                assert node.value in set(ReasonCode), f"{path.name}:{node.lineno}"


def test_a_code_is_plain_text_wherever_it_is_written() -> None:
    error = EpisodeRejected(ReasonCode.ARCHIVE_WINDOW, "9 MiB")
    assert str(error) == "archive.window: 9 MiB"
    assert ReasonCode.ARCHIVE_WINDOW == "archive.window" and f"{ReasonCode.ARCHIVE_WINDOW}" == "archive.window"
    fault = StoreFault(line=1, reason=ReasonCode.INDEX_TORN, detail="two records")
    raw = msgspec.json.encode(fault)
    assert b'"reason":"index.torn"' in raw
    assert msgspec.json.decode(raw, type=StoreFault) == fault
