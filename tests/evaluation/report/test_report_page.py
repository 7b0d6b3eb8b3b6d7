"""The report as a page: what folds, where links lead, that tables and pictures stay whole in light and dark."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest
from report_page import Page

from rlstir_core.drawing import DARK_PAPER, INK, LINE_CONTRAST, PAPER, TEXT_CONTRAST, Drawn, canvas, contrast, dark, png
from rlstir_core.evaluation.report.document import render_markdown
from rlstir_core.evaluation.report.html import FOLDED, SVG_BYTES, convert, data_uri, render_html
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.markdown import link, may_link, table
from rlstir_core.evaluation.report.pictures.plots import BLUE, STRONGEST, draw_all, early_bands
from rlstir_core.evaluation.stats.intervals import Estimate

SampleInputs = Callable[..., ReportInputs]
replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def drawn(sample_inputs: SampleInputs) -> dict[str, Drawn]:
    return draw_all(sample_inputs())


@pytest.fixture
def html(sample_inputs: SampleInputs, drawn: Mapping[str, Drawn]) -> str:
    return render_html(sample_inputs(), drawn, ["Made now."])


def test_the_html_is_one_file_under_1_mb_that_loads_nothing(html: str) -> None:
    assert len(html.encode()) < 250_000  # sixteen more pictures of 30 kB fit
    assert not re.search(r"https?://|//[a-z]|@import|url\(", re.sub(r"base64,[A-Za-z0-9+/=]+", "", html))
    page = Page(html)
    sources = [attributes["src"] or "" for tag, attributes in page.tags if tag == "img"]
    assert len(sources) == 4 and all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert not {"link", "iframe", "object"} & {tag for tag, _ in page.tags}


def test_the_one_script_of_the_page_is_the_one_that_its_policy_names_and_asks_nobody(html: str) -> None:
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    sha256 = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r"script-src ([^;\"]*)", html) == [f"'sha256-{sha256}'"]
    assert not re.search(r"fetch|XMLHttp|eval|innerHTML|import|document\.write|location", script)


def test_the_name_that_begins_a_row_of_figures_leads_to_the_predictions_behind_them(html: str) -> None:
    page = Page(html)
    rows = [attributes["href"] for tag, attributes in page.tags if tag == "a" and attributes.get("class") == "row"]
    assert {"predictions/gbt_realistic.parquet", "predictions/clock_baseline.parquet"} <= set(rows)
    assert 'class="row" title="predictions"><code>clock</code></a>' in html
    text = "| model | n |\n| --- | --- |\n| x | 1 |\n| y | 2 |"
    told, _ = convert(text, {}, rows={"x": "javascript:alert(1)", "y": "predictions/y_z.parquet"})
    assert "javascript" not in told and told.count("<a ") == 1


def test_every_section_is_in_both_lists_of_contents_and_long_ones_fold(html: str) -> None:
    page = Page(html)
    targets = {a["id"]: tag for tag, a in page.tags if a.get("id")}
    inner = [a["href"] for tag, a in page.tags if tag == "a" and (a["href"] or "").startswith("#")]
    assert sorted(inner) == sorted([f"#{target}" for target in targets] * 2)  # beside the text, and folded above it
    folds = {target for target, tag in targets.items() if tag == "div"}
    assert len(folds) == len([name for name in FOLDED if f"<h2>{name}" in html])
    # the anchor lies inside what folds, never in the line that stays: a browser then opens it
    for target in folds:
        assert re.search(rf'<details><summary><h2>[^\n]*</h2>\s*</summary><div id="{re.escape(str(target))}"', html)
    for name in ("verdict", "models", "early-detection", "confusion"):
        assert re.search(rf'<section id="\d+-{name}">', html)


def test_printing_shows_what_is_folded(html: str) -> None:
    printed = html.split("@media print")[1]
    assert "details::details-content { content-visibility: visible" in printed


def test_only_links_to_plain_files_beside_the_report_are_kept(html: str, sample_inputs: SampleInputs) -> None:
    outer = {a["href"] for tag, a in Page(html).tags if tag == "a" and not (a["href"] or "").startswith("#")}
    assert {
        "../../../artifacts/host/gbt_realistic.card.md",
        "gbt_realistic_eval.json",
        "predictions/gbt_realistic.parquet",
        "predictions/clock_baseline.parquet",
        "../../../processed/splits/host.json",
        "../../../processed/validation_v1.parquet/host=host-b/episodes.parquet",
    } <= outer
    assert all(may_link(str(path)) for path in outer)
    assert outer == set(re.findall(r"(?<!!)\[[^]]+\]\(([^)]+)\)", render_markdown(sample_inputs())))
    assert link("x", "a.json") == "[x](a.json)" and link("x", "a.html") == "x"


def test_an_interval_may_stand_below_its_figure_and_a_long_cell_wraps() -> None:
    cells = ["a", "0.61 [0.55, 0.67]", "+0.041 [-0.012, +0.094]", "x [0.1, 0.2]", "w" * 40]
    html, _ = convert(table([*"abcde"], [cells]), {})
    assert html.count('<span class="ci">') == 2 and '0.61 <span class="ci">[0.55, 0.67]</span></td>' in html
    assert 'class="words"' in convert(table(["a"], [["degraded (netflow missing)"]]), {})[0]
    assert '<table class="some">' in html and html.count('class="text"') == 1
    assert '<table class="many">' in convert(table([*"abcdefgh"], [[*cells, "", "", ""]]), {})[0]


def test_a_table_says_that_it_scrolls_only_in_boxes_that_are_too_narrow_for_it(html: str) -> None:
    def box(columns: int) -> int:
        found = re.search(r'class="more w(\d+)"', convert(table(["x" * 9] * columns, [["0.123"] * columns]), {})[0])
        assert found is not None
        return int(found[1])

    assert box(1) < 300 and box(3) < box(6) < box(9) <= 960
    assert all(f"(max-width: {box(n)}px)" in html for n in (1, 3, 6, 9))


# Pictures


def _svgs(drawn: Mapping[str, Drawn]) -> dict[str, str]:
    return {name: picture.svg.decode() for name, picture in drawn.items()}


def test_pictures_are_readable_on_light_and_on_dark_paper(drawn: Mapping[str, Drawn]) -> None:
    for name, svg in _svgs(drawn).items():
        assert "@media(prefers-color-scheme:dark)" in svg
        assert not re.search(r"(?:fill|stroke): ?#", svg), "a colour that follows no theme"
        rules = dict(re.findall(r"\.(s\d+)\{([^}]*)\}", svg))
        of_text = {rules[c] for c in re.findall(r'<text class="(s\d+)"', svg)}
        for rule in of_text:
            (colour,) = re.findall(r"fill: var\(--c([0-9a-f]{6})\)", rule)
            light, night = f"#{colour}", dark(f"#{colour}")
            assert contrast(light, PAPER) >= TEXT_CONTRAST and contrast(night, DARK_PAPER) >= TEXT_CONTRAST, name
        for rule in set(rules.values()) - of_text:
            for colour in re.findall(r"stroke: var\(--c([0-9a-f]{6})\)", rule):
                light = f"#{colour}"
                if contrast(light, PAPER) > 2:  # not the grid
                    assert contrast(light, PAPER) >= LINE_CONTRAST, (name, light)
                    assert contrast(dark(light), DARK_PAPER) >= LINE_CONTRAST, (name, light)


@pytest.mark.parametrize("pale", ["#fbe7b2", "#f4c79b", "#eba58e", "#d4c8e6", "#bfdccd"])
def test_a_pale_background_stays_one_under_ink_and_lines_in_the_dark(pale: str) -> None:
    night = dark(pale)
    assert contrast(night, DARK_PAPER) < 2.2
    assert contrast(dark(INK), night) >= TEXT_CONTRAST and contrast(dark(BLUE), night) >= LINE_CONTRAST


def test_numbers_in_shaded_cells_are_readable_in_both_themes() -> None:
    for ink, shade, paper in ((INK, BLUE, PAPER), (dark(INK), dark(BLUE), DARK_PAPER)):
        mixed = "#" + "".join(
            f"{round(STRONGEST * int(shade[i : i + 2], 16) + (1 - STRONGEST) * int(paper[i : i + 2], 16)):02x}"
            for i in (1, 3, 5)
        )
        assert contrast(ink, mixed) >= TEXT_CONTRAST, (mixed, contrast(ink, mixed))


def test_a_picture_is_the_same_svg_each_time_and_loads_nothing(
    drawn: Mapping[str, Drawn], sample_inputs: SampleInputs
) -> None:
    again = draw_all(sample_inputs())
    for name, svg in _svgs(drawn).items():
        assert svg.encode() == again[name].svg
        assert len(svg) < 30_000
        assert "<script" not in svg and not re.findall(r'href="(?!#)', svg)
        assert not re.search(r"matplotlib|Date|DejaVu", svg)
    assert ">0.610 [0.560, 0.660]<" in re.sub(r"\s+", " ", _svgs(drawn)["forest"]), "figures keep their places"


def test_hostile_names_stay_text_in_an_svg(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    name = "</text><script>x</script>&'\""
    models = tuple(replace(m, model=name) for m in inputs.models)
    for svg in _svgs(draw_all(replace(inputs, models=models))).values():
        assert "<script" not in svg
        kinds = {tag for tag, _ in Page(svg).tags}
        assert kinds <= {"svg", "defs", "style", "g", "path", "text", "use", "clippath", "rect"}, kinds


def test_a_picture_with_too_many_marks_goes_onto_the_page_as_png() -> None:
    figure = canvas(1.0)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.scatter(range(9_000), [i * 7 % 11 for i in range(9_000)], s=1)
    picture = png(figure)
    assert len(picture.svg) > SVG_BYTES and data_uri(picture).startswith("data:image/png;base64,")
    html, _ = convert("![x](plots/x.png)\n", {"plots/x.png": data_uri(picture)})
    assert 'class="png"' in html  # on white paper of its own
    with pytest.raises(ValueError, match="PNG or an SVG"):
        data_uri(b"GIF89a")


def test_no_early_detection_curve_hides_another(drawn: Mapping[str, Drawn], sample_inputs: SampleInputs) -> None:
    svg = _svgs(drawn)["early"]
    titles = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"gbt", "gru"} <= set(titles)  # a panel each
    one = replace(sample_inputs(), models=sample_inputs().models[:1])
    assert len(re.findall(r"<text[^>]*>gbt</text>", draw_all(one)["early"].svg.decode())) == 1


def test_a_band_is_spoken_of_only_where_one_is_drawn(sample_inputs: SampleInputs) -> None:
    inputs = sample_inputs()
    assert early_bands(inputs) and "The band is the 95 % interval of the model in blue." in render_markdown(inputs)

    def bare(model: Any) -> Any:
        share = Estimate(value=0.5, note="n = 13 test episodes, no interval below 20")
        points = tuple(replace(p, share_detected=share) for p in model.early_detection.points)
        return replace(model, early_detection=replace(model.early_detection, points=points))

    few = replace(inputs, models=tuple(bare(m) for m in inputs.models))
    text = render_markdown(few)
    assert not early_bands(few) and "The band" not in text
    assert "No band is drawn: n = 13 test episodes, no interval below 20." in text


def test_the_image_of_a_page_is_what_was_drawn(html: str, drawn: Mapping[str, Drawn]) -> None:
    sources = [str(a["src"]) for tag, a in Page(html).tags if tag == "img"]
    assert {base64.b64decode(source.split(",")[1]) for source in sources} == {p.svg for p in drawn.values()}
