"""Four toys: evidence that is independent, a pointer to it, two hops behind a branch, and three hops among decoys.

What does not belong here: what is best in them (`exact.py`).
"""

# H hypotheses, Q queries, R answers of a query
from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np

from rlstir_core.arrays import Ints
from rlstir_core.investigator.toys.toy import Toy


def independent() -> Toy:
    """Seven queries whose answers say something about the verdict, each by itself: greedy is almost optimal."""
    right = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90)
    return _toy(
        "independent",
        [(attack,) for attack in (0, 1)],
        [_evidence(lambda h, p=p: p if h[0] else 1 - p) for p in right],
        cost=(1.0, 1.2, 1.6, 2.0, 2.6, 3.4, 4.4),
        price=0.012,
    )


def pointer() -> Toy:
    """A triage query says in which of five places the evidence lies; only there an answer says anything."""
    return _toy(
        "pointer",
        list(product((0, 1), range(5))),
        [
            lambda h: _mostly(h[1], 5, 0.96),
            *(_evidence(lambda h, k=k: (0.93 if h[0] else 0.07) if h[1] == k else 0.3) for k in range(5)),
            _evidence(lambda h: 0.62 if h[0] else 0.38),
        ],
        cost=(1.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0),
        price=0.02,
    )


def branch2() -> Toy:
    """A query opens two branches and says which is the right one; evidence lies two hops deep in it.

    A branch's first hop says which of its two ends to look at. Nothing before the end says anything of the verdict.
    """
    return _toy(
        "branch2",
        list(product((0, 1), (0, 1), (0, 1))),
        [
            lambda h: _mostly(h[1], 2, 0.95),
            *(lambda h, b=b: _mostly(h[2], 2, 0.95) if h[1] == b else _mostly(0, 2, 0.5) for b in (0, 1)),
            *(
                _evidence(lambda h, b=b, e=e: (0.95 if h[0] else 0.05) if h[1:] == (b, e) else 0.3)
                for b, e in product((0, 1), (0, 1))
            ),
            _evidence(lambda h: 0.68 if h[0] else 0.32),
        ],
        cost=(1.0, 1.5, 1.5, 2.0, 2.0, 2.0, 2.0, 1.0),
        after=(-1, 0, 0, 1, 1, 2, 2, -1),
        price=0.014,
    )


def case() -> Toy:
    """Three hops, as an alert is followed: its process tree, the source that the tree points to, one of two entities.

    Wrong sources point to entities as well, and wrong entities show rows that look plausible whoever is there.
    """
    return _toy(
        "case",
        list(product((0, 1), range(3), (0, 1))),
        [
            lambda h: _mostly(h[1], 3, 0.92),
            *(lambda h, k=k: _mostly(h[2], 2, 0.92) if h[1] == k else _mostly(0, 2, 0.5) for k in range(3)),
            *(
                _evidence(lambda h, k=k, e=e: (0.95 if h[0] else 0.05) if h[1:] == (k, e) else 0.35)
                for k, e in product(range(3), (0, 1))
            ),
            _evidence(lambda h: 0.72 if h[0] else 0.28),
        ],
        cost=(1.0, 1.5, 1.5, 1.5, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 1.0),
        after=(-1, 0, 0, 0, 1, 1, 2, 2, 3, 3, -1),
        price=0.008,
    )


TOYS: dict[str, Callable[[], Toy]] = {each.__name__: each for each in (independent, pointer, branch2, case)}

_Hypothesis = tuple[int, ...]  # attack or not, then where the evidence lies


def _toy(
    name: str,
    hypotheses: Sequence[_Hypothesis],
    answers: Sequence[Callable[[_Hypothesis], Sequence[float]]],
    *,
    cost: tuple[float, ...],
    price: float,
    after: tuple[int, ...] | None = None,
) -> Toy:
    """The toy in which every hypothesis is as likely as the others."""
    chance_HQ = [[answer(h) for answer in answers] for h in hypotheses]
    most = max(len(chance) for chances in chance_HQ for chance in chances)
    known = np.array(hypotheses)
    return Toy(
        name=name,
        prior_H=np.full(len(hypotheses), 1 / len(hypotheses)),
        attack_H=known[:, 0] == 1,
        places=_places(known),
        chance_HQR=np.array(
            [[[*chance, *[0.0] * (most - len(chance))] for chance in chances] for chances in chance_HQ]
        ),
        cost_Q=np.array(cost),
        after_Q=after or (-1,) * len(answers),
        price=price,
    )


def _places(known: Ints) -> tuple[Ints, ...]:
    """Where the evidence lies, part by part and as a whole."""
    parts = [known[:, k] for k in range(1, known.shape[1])]
    if len(parts) < 2:
        return tuple(parts)
    return (*parts, np.unique(known[:, 1:], axis=0, return_inverse=True)[1].astype(np.int64))


def _evidence(found: Callable[..., float]) -> Callable[[_Hypothesis], Sequence[float]]:
    """A query that finds something or nothing."""
    return lambda h: (1 - found(h), found(h))


def _mostly(right: int, n: int, chance: float) -> Sequence[float]:
    """An answer that is right so often, and any other one as often as the others."""
    return [chance if k == right else (1 - chance) / (n - 1) for k in range(n)]
