"""What each check asks, in a sentence, by the first part of its name.

What does not belong here: answers.
"""

from __future__ import annotations

from rlstir_core.audit.findings import Checked

RULES = {
    "episode-overlap": "No test episode stands on the train or validation side of the split.",
    "group-overlap": "Hosts, samples or corpora of the test side are new, where that is claimed.",
    "near-duplicates": "No test episode is as good as equal to a train episode in its features.",
    "tables-agree": "Every test episode is predicted, and every row counts.",
    "row-interval": "The interval resamples episodes, since rows of one episode are not independent.",
    "untested": "Each class and group that figures speak of stands in enough test episodes.",
    "test-chosen-threshold": "The threshold behind the decisions does not look as if the test side had chosen it.",
    "permuted-labels": "The figure is above what permuted labels give.",
    "clock-baseline": "The detector does better than the time since the recording began.",
    "metadata-baseline": "The detector does better than what is known of an episode without looking into it.",
}


def rule_of(checked: Checked) -> str:
    """The rule that a finding is of."""
    return checked.check.partition("/")[0]
