"""When a train side is chosen anew, and when it stays, so that what was trained on it scores what came since.

Time is that of the recordings, so that the same store gives the same decision on any day. What does not belong here:
who may test beside a train side that stays (`recipes/`), and making the split (`split.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import msgspec

from rlstir_core.errors import ConfigError

if TYPE_CHECKING:
    from rlstir_core.datasets.episodes import EpisodeInfo

When = Literal["always", "due", "never"]
_DAY_NS = 86_400 * 10**9
_EXAMPLE = "write always, never, due, or due:share=0.1,days=14"


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """`always`: the train side is what the recipe gives today; `never`: what it was; `due`: by these bounds."""

    when: When = "always"
    share: float = 0.2  # of episodes that wait to be trained on, to those that are
    days: float = 30.0  # between the last episode that was trained on and the last of all


ALWAYS = Renewal()


def read_renewal(text: str) -> Renewal:
    """What a user wrote; ConfigError where it cannot be understood."""
    when, _, bounds = text.partition(":")
    if when not in get_args(When) or (bounds and when != "due"):
        raise ConfigError(f"retrain {text!r} is unknown; {_EXAMPLE}")
    found: dict[str, float] = {}
    for part in bounds.split(",") if bounds else ():
        name, _, value = part.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if name not in ("share", "days") or not 0 < number < math.inf or name in found:
            raise ConfigError(f"retrain {text!r}: {part!r} is no bound above 0; {_EXAMPLE}")
        found[name] = number
    return Renewal(when="due", **found) if when == "due" else Renewal(when="never" if when == "never" else "always")


def why_renew(
    renewal: Renewal, trained: Sequence[EpisodeInfo], waiting: Sequence[EpisodeInfo], known: Sequence[EpisodeInfo]
) -> tuple[bool, str]:
    """Whether the train side is chosen anew, and the sentence that the report prints of it.

    `trained` are the episodes of the train side that stood, `waiting` those that would stand there now, `known` all.
    """
    share = len(waiting) / max(1, len(trained))
    last = max(episode.t_end_wall_ns for episode in trained)
    days = max(0.0, max(episode.t_end_wall_ns for episode in known) - last) / _DAY_NS
    wait = "1 episode waits" if len(waiting) == 1 else f"{len(waiting)} episodes wait"
    facts = f"{wait} beside {len(trained)} trained on ({share:.0%}), {days:.1f} days have passed"
    if renewal.when == "never":
        return False, f"the train side stays: {facts}"
    over = [f"{renewal.share:.0%} of them are enough"] * (share >= renewal.share)
    over += [f"{renewal.days:g} days are enough"] * (days >= renewal.days and bool(waiting))
    if over:
        return True, f"trained anew: {facts}, and {' and '.join(over)}"
    return False, f"the train side stays: {facts}, of {renewal.share:.0%} or {renewal.days:g} days"
