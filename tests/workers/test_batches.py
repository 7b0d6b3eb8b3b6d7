"""Items are asked for in batches that last, in their order, and none of them waits long behind another."""

from __future__ import annotations

from rlstir_core.errors import StoreError
from rlstir_core.workers.batches import MOST, WorkBatches, answered_all


def sizes(n: int, each_s: float, workers: int = 2) -> list[int]:
    """Of the batches of `n` items that take so long each, which must be all of them in their order."""
    batches, found, seen = WorkBatches(range(n)), [], []
    while batch := batches.next(workers):
        found.append(len(batch))
        seen += batch
        batches.took(len(batch), len(batch) * each_s)
    assert seen == list(range(n))
    return found


def test_short_items_go_together_and_the_last_ones_are_shared_out() -> None:
    found = sizes(1000, 0.005)
    assert found[0] == 1 and max(found) == MOST and len(found) < 60
    assert found[-4:] == [1] * 4


def test_long_items_go_one_by_one() -> None:
    assert sizes(30, 1.0) == [1] * 30


def test_items_that_take_no_time_are_no_error() -> None:
    assert max(sizes(1000, 0.0)) == MOST


def refuse_odd(item: int) -> int:
    if item % 2:
        raise StoreError("odd")
    return item


def test_what_stands_behind_a_refusal_in_its_batch_is_not_begun() -> None:
    answers, seconds = answered_all(refuse_odd, [2, 4, 5, 6, 7])
    assert [answer.result for answer in answers] == [(2,), (4,), None] and seconds >= 0
