"""The page as files: small, of this server alone, and without a way for a text to become markup."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import rlstir_core.live.serving
from rlstir_core.live.contract import TYPES

PAGE = Path(rlstir_core.live.serving.__file__).parent / "page"
SCRIPTS = {path.name: path.read_text() for path in sorted(PAGE.glob("*.js"))}
HTML = (PAGE / "index.html").read_text()


def test_the_page_weighs_less_than_200_kb() -> None:
    assert sum(path.stat().st_size for path in PAGE.iterdir()) <= 200_000


def test_no_file_of_the_page_names_another_server() -> None:
    for path in PAGE.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")  # the name of a format
        assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|url\(|@import", text), path.name


def test_no_text_becomes_markup_or_a_program() -> None:
    ways = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|DOMParser|setHTML"
    for name, text in SCRIPTS.items():
        assert not re.search(ways + "|javascript:", text), name
    assert not re.search(r"<script(?! type=\"module\" src=)|\son\w+=|\sstyle=|<style", HTML)


def test_every_element_that_a_script_asks_for_is_there() -> None:
    ids = set(re.findall(r'\bid="([\w-]+)"', HTML))
    asked = {name for text in SCRIPTS.values() for name in re.findall(r'\$\("([\w-]+)"\)', text)}
    assert asked and asked <= ids


def test_every_module_that_is_imported_is_there_and_every_name_that_is_imported_is_exported() -> None:
    for text in SCRIPTS.values():
        for names, file in re.findall(r'import (\{[^}]*\}|\* as \w+) from "\./([\w.]+)"', text):
            for name in re.findall(r"\w+", names) if names.startswith("{") else ():
                assert re.search(rf"export (async )?(function|class|const) {name}\b", SCRIPTS[file]), (file, name)


def test_the_page_knows_every_type_of_the_contract() -> None:
    assert set(re.findall(r'case "(io\.rlstir\.[\w.]+)"', SCRIPTS["state.js"])) == set(TYPES)


def test_the_page_is_part_of_what_is_installed() -> None:
    code = "from rlstir_core.live.serving.app import _pages; print(sorted(_pages()))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.strip() == str(sorted("/" if path.name == "index.html" else f"/{path.name}" for path in PAGE.iterdir()))


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours."""

    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        r, g, b = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_text_has_enough_contrast_in_light_and_in_dark() -> None:
    css = (PAGE / "style.css").read_text()
    schemes = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", block)) for block in css.split("@media")[:2]]
    for scheme in schemes:
        pairs = [(text, on) for text in ("ink", "faint", "line", "alarm") for on in ("paper", "card")]
        pairs += [("ink", f"phase-{n}") for n in range(6)] + [("on-accent", "accent")]
        for text, on in pairs:
            assert contrast(scheme[text], scheme[on]) >= 4.5, (text, on)
