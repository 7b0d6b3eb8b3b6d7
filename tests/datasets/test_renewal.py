"""A train side that stays: who may test beside it, and when it is chosen anew."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from rlstir_core.datasets.checks import check_split
from rlstir_core.datasets.episodes import EpisodeInfo
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.renewal import Renewal, Strayed, read_renewal
from rlstir_core.datasets.split import Split, make_split
from rlstir_core.datasets.staying import next_split
from rlstir_core.errors import ConfigError

DAY_NS = 86_400 * 10**9
SETTINGS = SplitSettings(folds=2)
NEVER, DUE = Renewal(when="never"), Renewal(when="due")


def episode(name: str, host: str, day: float = 0.0, **more: object) -> EpisodeInfo:
    """One with both phases; its content is its own."""
    start = int(day * DAY_NS)
    known: dict[str, object] = {
        "profile": "io-walk",
        "sample": f"sample-{name}",
        "corpus": f"lab-{host}",
        "benign": False,
        "complete": True,
        "t_start_wall_ns": start,
        "t_end_wall_ns": start + 60 * 10**9,
        "content_sha256": name,
        "decoded_sha256": name,
        "windows": {"clean": 3, "infected_running": 3},
        "channels": ("proc.utime",),
    }
    return EpisodeInfo(episode_id=name, host=host, **(known | more))  # type: ignore[arg-type]


FIRST = [episode(f"{host}{k}", host, day=k / 10) for host in "abcd" for k in range(6)]


def first(recipe: str) -> Split:
    return make_split(recipe, FIRST, SETTINGS)[0]


def later(recipe: str, more: Sequence[EpisodeInfo], renewal: Renewal = NEVER) -> tuple[Split, Split]:
    """The split of `FIRST`, and the next one once `more` have come."""
    before = first(recipe)
    after, twins = next_split(recipe, [*FIRST, *more], SETTINGS, renewal, before)
    assert all(check.holds for check in check_split(after, twins)), after
    return before, after


@pytest.mark.parametrize("recipe", ["host", "sample", "time", "corpus", "random", "loho"])
def test_what_was_trained_on_stays_and_only_what_may_test_beside_it_does(recipe: str) -> None:
    new = [episode(f"new-{host}", host, day=2) for host in "abcde"]
    before, after = later(recipe, new)
    assert [(each.train, each.folds) for each in after.rounds] == [(each.train, each.folds) for each in before.rounds]
    assert after.train_sha256 == before.train_sha256 and after.sha256 != before.sha256
    joined = {name for each in after.rounds for name in each.test if name.startswith("new-")}
    trained = {info.host for info in before.trained_on}
    apart = {f"new-{host}" for host in "abcde" if host not in trained}
    everyone = {each.episode_id for each in new}
    assert joined == {"host": apart, "corpus": apart, "loho": everyone - {"new-e"}}.get(recipe, everyone)
    waiting = sum(each.n_episodes for each in after.excluded if "wait for a training" in each.reason)
    assert waiting == len(everyone - joined) and after.renewal.startswith("the train side stays: ")


def test_a_new_host_is_named_among_those_that_are_held_out() -> None:
    before, after = later("host", [episode("new", "e")])
    assert set(after.rounds[0].held_out) == {*before.rounds[0].held_out, "e"}


def test_enough_that_wait_or_enough_days_make_a_training_due() -> None:
    train_host = first("host").trained_on[0].host
    few = [episode("n0", train_host, day=1)]
    assert later("host", few, DUE)[1].renewal.startswith("the train side stays: 1 episode waits")
    many = [episode(f"n{k}", train_host, day=1) for k in range(6)]
    before, after = later("host", many, DUE)
    assert after.renewal.startswith("trained anew: 6 episodes wait") and after.train_sha256 != before.train_sha256
    old = later("host", [episode("n0", train_host, day=40)], DUE)[1]
    assert "days are enough" in old.renewal and "n0" in old.rounds[0].train
    assert later("host", many, Renewal(when="due", share=0.9))[1].renewal.startswith("the train side stays")


def test_train_hosts_that_record_otherwise_since_make_a_training_due_and_only_of_their_own_train_side() -> None:
    before = first("host")
    trained = sorted({info.host for info in before.trained_on})
    found = Strayed(train_sha256=before.train_sha256, hosts=tuple(trained[:2]), n_hosts=len(trained))
    share = 2 / len(trained)
    assert found.is_over(Renewal(when="due", drift=share), before.train_sha256)
    assert not found.is_over(Renewal(when="due", drift=share + 0.01), before.train_sha256)
    assert not found.is_over(Renewal(when="due", drift=share), "of another train side")
    assert not found.is_over(NEVER, before.train_sha256)
    new = [episode("n0", trained[0], day=1)]
    after, _ = next_split("host", [*FIRST, *new], SETTINGS, DUE, before, found)
    assert after.renewal.startswith("trained anew: ") and f"{trained[0]}, {trained[1]})" in after.renewal
    assert "n0" in after.rounds[0].train
    elsewhere, _ = next_split("host", [*FIRST, episode("n1", "e", day=1)], SETTINGS, DUE, before, found)
    assert elsewhere.renewal.startswith("the train side stays: 0 episodes wait")  # training again would change nothing


def test_a_train_episode_that_is_gone_or_changed_makes_the_train_side_anew() -> None:
    before = first("host")
    lost = before.trained_on[0].episode_id
    without = [each for each in FIRST if each.episode_id != lost]
    changed = [msgspec.structs.replace(e, decoded_sha256="x") if e.episode_id == lost else e for e in FIRST]
    for episodes in (without, changed):
        after, _ = next_split("host", episodes, SETTINGS, NEVER, before)
        assert "1 of" in after.renewal and "gone or changed" in after.renewal


def test_a_new_episode_that_repeats_a_train_episode_does_not_test() -> None:
    again = msgspec.structs.replace(episode("copy", "e"), content_sha256=first("host").trained_on[0].content_sha256)
    after = later("host", [again, episode("own", "e")])[1]
    assert "copy" not in after.rounds[0].test and "own" in after.rounds[0].test
    assert any("near-duplicates of train episodes" in each.reason for each in after.excluded)


def test_other_settings_or_nothing_before_give_what_the_recipe_gives() -> None:
    fresh = make_split("host", FIRST, SETTINGS)[0]
    assert next_split("host", FIRST, SETTINGS, NEVER, None)[0] == fresh
    other = SplitSettings(folds=3)
    assert next_split("host", FIRST, other, NEVER, fresh)[0] == make_split("host", FIRST, other)[0]


@pytest.mark.parametrize(
    ("text", "renewal"),
    [
        ("always", Renewal()),
        ("never", NEVER),
        ("due", DUE),
        ("due:share=0.5,days=7,drift=1", Renewal(when="due", share=0.5, days=7, drift=1)),
        ("due:days=7", Renewal(when="due", days=7)),
    ],
)
def test_when_to_train_anew_is_read(text: str, renewal: Renewal) -> None:
    assert read_renewal(text) == renewal


@pytest.mark.parametrize(
    "text", ["", "often", "never:share=1", "due:share", "due:share=0", "due:x=1", "due:days=nan", "due:days=1,days=2"]
)
def test_a_word_that_cannot_be_understood_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"due:share=0\.1,days=14,drift=0\.5"):
        read_renewal(text)
