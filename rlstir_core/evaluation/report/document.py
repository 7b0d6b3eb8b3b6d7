"""The comparison report as markdown: reads as text, and is what the HTML is made from.

With `model_card.py` the only writer of markdown. What does not belong here: computing figures, the words of
a section (`sections/`), pictures (`pictures/`).
"""

from __future__ import annotations

from rlstir_core.evaluation.drift.words import drift_section
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.sections.acting import acting_section
from rlstir_core.evaluation.report.sections.alarms import (
    alarms_section,
    benign_section,
    range_section,
    techniques_section,
    thresholds_section,
)
from rlstir_core.evaluation.report.sections.breakdowns import (
    completeness_section,
    confusion_section,
    early_section,
    phases_section,
    start_section,
    strata_section,
)
from rlstir_core.evaluation.report.sections.cost import cost_section
from rlstir_core.evaluation.report.sections.curves import curves_section, reliability_section
from rlstir_core.evaluation.report.sections.episodes import episodes_section
from rlstir_core.evaluation.report.sections.files import files_section
from rlstir_core.evaluation.report.sections.honesty import honesty_section
from rlstir_core.evaluation.report.sections.investigation import investigation_section
from rlstir_core.evaluation.report.sections.models import models_section, paired_section
from rlstir_core.evaluation.report.sections.opening import opening
from rlstir_core.evaluation.report.sections.provenance import (
    manifest_section,
    probes_section,
    quality_section,
    reading_section,
    setup_section,
    split_section,
    untested_section,
)
from rlstir_core.evaluation.report.sections.training import learning_section, seeds_section, spread_section
from rlstir_core.evaluation.report.sections.verdict import verdict_paragraphs


def render_markdown(inputs: ReportInputs, *, page: bool = False) -> str:
    """The whole report, `comparison_v2.md`; or what the HTML page is made of, which says itself when it was made."""
    sections = [
        opening(inputs, page=page),
        "## Verdict\n\n" + "\n\n".join(verdict_paragraphs(inputs)),
        honesty_section(inputs),
        models_section(inputs),
        paired_section(inputs),
        spread_section(inputs),
        seeds_section(inputs),
        learning_section(inputs),
        phases_section(inputs),
        strata_section(inputs, "profile", "Per profile", lambda m: m.per_profile),
        strata_section(inputs, "host", "Per host", lambda m: m.per_host),
        completeness_section(inputs),
        start_section(inputs),
        alarms_section(inputs),
        thresholds_section(inputs),
        range_section(inputs),
        benign_section(inputs),
        techniques_section(inputs),
        early_section(inputs),
        curves_section(inputs),
        reliability_section(inputs),
        confusion_section(inputs),
        episodes_section(inputs),
        investigation_section(inputs),
        acting_section(inputs.acting, inputs.pictures.get("acting", "")),
        untested_section(inputs),
        setup_section(inputs),
        split_section(inputs),
        quality_section(inputs),
        drift_section(inputs.drift),
        probes_section(inputs),
        files_section(inputs),
        manifest_section(inputs),
        reading_section(),
        cost_section(inputs),  # last: two runs are equal up to here
    ]
    return "\n\n".join(section for section in sections if section) + "\n"
