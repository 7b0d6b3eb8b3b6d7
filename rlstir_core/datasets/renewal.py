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
_NAMED = 3
_BOUNDS = ("share", "days", "drift")
_EXAMPLE = "write always, never, due, or due:share=0.1,days=14,drift=0.5"


class Renewal(msgspec.Struct, frozen=True, kw_only=True):
    """`always`: the train side is what the recipe gives today; `never`: what it was; `due`: that, until a bound."""

    when: When = "always"
    share: float = 0.2  # of episodes that wait to be trained on, to those that are
    days: float = 30.0  # between the last episode that was trained on and the last of all
    drift: float = 0.5  # of the train hosts, whose recordings since differ from those that were trained on


ALWAYS = Renewal()


class Strayed(msgspec.Struct, frozen=True, kw_only=True):
    """Train hosts whose recordings since differ from those that were trained on, as an evaluation found."""

    train_sha256: str  # of the train side that it held them against
    hosts: tuple[str, ...]
    n_hosts: int  # of the train side

    def is_over(self, renewal: Renewal, train_sha256: str) -> bool:
        """Whether that is a reason to train anew what was trained on this train side."""
        share = len(self.hosts) / max(1, self.n_hosts)
        return renewal.when == "due" and self.train_sha256 == train_sha256 and share >= renewal.drift

    @property
    def words(self) -> str:
        """What was found."""
        named = ", ".join(self.hosts[:_NAMED]) + (" …" if len(self.hosts) > _NAMED else "")
        of = f"{len(self.hosts)} of {self.n_hosts} train hosts ({named})"
        return f"recordings since differ from those trained on in {of}"


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
        if name not in _BOUNDS or not 0 < number < math.inf or name in found:
            raise ConfigError(f"retrain {text!r}: {part!r} is no bound above 0; {_EXAMPLE}")
        found[name] = number
    return Renewal(when="due", **found) if when == "due" else Renewal(when="never" if when == "never" else "always")


def why_renew(
    renewal: Renewal,
    trained: Sequence[EpisodeInfo],
    waiting: Sequence[EpisodeInfo],
    known: Sequence[EpisodeInfo],
    strayed: Strayed | None = None,
) -> tuple[bool, str]:
    """Whether the train side is chosen anew, and the sentence that the report prints of it.

    `trained` are the episodes of the train side that stood, `waiting` those that would stand there now, `known` all;
    `strayed` is given where what was found is a reason.
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
    over += [strayed.words] if strayed is not None and waiting else []
    if over:
        return True, f"trained anew: {facts}, and {' and '.join(over)}"
    return False, f"the train side stays: {facts}, of {renewal.share:.0%} or {renewal.days:g} days"
