"""The split on disk: written once, current until something that decides it changes, and never half right."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tiny_store import Tiny

from rlstir_core.atomic import write_json
from rlstir_core.datasets.recipes.base import SplitSettings
from rlstir_core.datasets.renewal import Renewal, Strayed
from rlstir_core.datasets.split import Split
from rlstir_core.datasets.store import build_split, read_split, refused_recipes, split_is_current, try_split
from rlstir_core.detectors.study import open_study
from rlstir_core.errors import SplitRefused, UpstreamMissing
from rlstir_core.learning.options import StudyOptions
from rlstir_core.results.versions import VERSIONS
from rlstir_core.telemetry.window_table import TABLE

DUE = Renewal(when="due", share=2.0)
NAMED = SplitSettings(train_hosts=("host-a",), folds=2)


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """Two hosts with four episodes each."""
    tiny = Tiny(tmp_path)
    for h, host in enumerate(("host-a", "host-b")):
        for k in range(4):
            tiny.add(f"ep-{h}{k}", seed=10 * h + k, host=host)
    tiny.build_all()
    return tiny


def built(tiny: Tiny, settings: SplitSettings = NAMED, recipe: str = "host") -> tuple[Split, bool]:
    return build_split(tiny.layout, recipe, tiny.hosts, settings)


def current(tiny: Tiny, settings: SplitSettings = NAMED, recipe: str = "host") -> bool:
    return split_is_current(tiny.layout, recipe, tiny.hosts, settings)


def test_a_split_is_written_once_and_found_the_second_time(tiny: Tiny) -> None:
    assert not current(tiny)
    made, is_new = built(tiny)
    path = tiny.layout.split("host")
    raw, time = path.read_bytes(), path.stat().st_mtime_ns
    assert (
        is_new and current(tiny) and made == read_split(tiny.layout, "host") == read_split(tiny.layout, "host", NAMED)
    )
    assert len(made.checks) == 7 and all(check.holds for check in made.checks)
    assert made.input_sha256 and b"signature" not in raw and made.settings == NAMED
    again, is_new = built(tiny)
    assert not is_new and again == made and (path.read_bytes(), path.stat().st_mtime_ns) == (raw, time)


def test_what_drifted_from_the_train_side_makes_a_split_once_and_only_where_a_training_may_be_due(tiny: Tiny) -> None:
    made = build_split(tiny.layout, "host", tiny.hosts, NAMED, DUE)[0]
    tiny.add("ep-new", seed=99, host="host-a")
    tiny.build_all()
    stays, _ = build_split(tiny.layout, "host", tiny.hosts, NAMED, DUE)
    assert stays.train_sha256 == made.train_sha256 and split_is_current(tiny.layout, "host", tiny.hosts, NAMED, DUE)
    found = Strayed(train_sha256=made.train_sha256, hosts=("host-a",), n_hosts=1)
    write_json(tiny.layout.strayed("host"), found)
    assert not split_is_current(tiny.layout, "host", tiny.hosts, NAMED, DUE)
    foreseen = try_split(tiny.layout, "host", tiny.hosts, NAMED, DUE)
    anew, is_new = build_split(tiny.layout, "host", tiny.hosts, NAMED, DUE)
    assert is_new and anew.train_sha256 == foreseen.train_sha256 != made.train_sha256
    assert "recordings since differ" in anew.renewal
    for leftover in (found, Strayed(train_sha256=anew.train_sha256, hosts=(), n_hosts=1)):
        write_json(tiny.layout.strayed("host"), leftover)
        assert split_is_current(tiny.layout, "host", tiny.hosts, NAMED, DUE)
    tiny.layout.strayed("host").write_bytes(b"{torn")
    assert split_is_current(tiny.layout, "host", tiny.hosts, NAMED, DUE)


def test_a_split_that_was_edited_is_none_and_is_made_again(tiny: Tiny) -> None:
    made, _ = built(tiny)
    path = tiny.layout.split("host")
    whole = path.read_bytes()
    swapped = msgspec.structs.replace(made.rounds[0], test=made.rounds[0].train, train=made.rounds[0].test)
    edits = (
        msgspec.structs.replace(made, rounds=(swapped,)),
        msgspec.structs.replace(made, checks=()),
        msgspec.structs.replace(made, episodes=made.episodes[1:]),
        msgspec.structs.replace(made, headline=False),
    )
    for edited in edits:
        path.write_bytes(msgspec.json.encode(edited))
        assert not current(tiny)
        with pytest.raises(UpstreamMissing, match=r"is not as it was written; make it with: .*key:split"):
            read_split(tiny.layout, "host")
        assert built(tiny)[1] and path.read_bytes() == whole


def test_the_same_store_gives_the_same_bytes(tiny: Tiny) -> None:
    built(tiny)
    before = tiny.layout.split("host").read_bytes()
    tiny.layout.split("host").unlink()
    assert built(tiny)[1] and tiny.layout.split("host").read_bytes() == before


def test_a_new_episode_makes_the_split_anew(tiny: Tiny) -> None:
    before, _ = built(tiny)
    tiny.add("ep-new", seed=77, host="host-b")
    tiny.build_all()
    assert not current(tiny)
    after, is_new = built(tiny)
    assert is_new and set(after.by_name) - set(before.by_name) == {"ep-new"} and after.sha256 != before.sha256
    assert after.train_sha256 == before.train_sha256  # it is tested, and trains nobody


def test_an_episode_that_was_recorded_again_makes_the_split_anew(tiny: Tiny) -> None:
    before, _ = built(tiny)
    tiny.add("ep-00", seed=78, host="host-a")
    tiny.build_all()
    after, is_new = built(tiny)
    assert is_new and after.rounds == before.rounds and after.train_sha256 != before.train_sha256


@pytest.mark.parametrize(
    "settings", [SplitSettings(folds=2), SplitSettings(train_hosts=("host-a",), folds=3),
                 SplitSettings(train_hosts=("host-a",), folds=2, seed=1)]
)  # fmt: skip
def test_other_settings_make_the_split_anew_and_are_refused_by_a_reader(tiny: Tiny, settings: SplitSettings) -> None:
    built(tiny)
    assert not current(tiny, settings)
    with pytest.raises(
        UpstreamMissing, match=r"made with other .*; make it again with: .*--recipe host --select key:split"
    ):
        read_split(tiny.layout, "host", settings)
    assert built(tiny, settings)[1] and read_split(tiny.layout, "host", settings).settings == settings
    assert not current(tiny)


def test_names_that_a_recipe_does_not_heed_change_nothing(tiny: Tiny) -> None:
    assert built(tiny, SplitSettings(folds=2), "random")[1]
    named = SplitSettings(folds=2, train_hosts=("host-a",), test_hosts=("host-b",), train_corpora=("lab",))
    assert current(tiny, named, "random") and not built(tiny, named, "random")[1]
    assert read_split(tiny.layout, "random", named).settings == SplitSettings(folds=2)


def test_another_version_of_the_code_makes_the_split_anew(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    built(tiny)
    monkeypatch.setattr("rlstir_core.results.versions.VERSIONS", {**VERSIONS, "split": VERSIONS["split"] + 1})
    assert not current(tiny) and built(tiny)[1] and current(tiny)


def test_a_split_that_is_missing_is_named_with_its_command(tiny: Tiny) -> None:
    with pytest.raises(UpstreamMissing, match=r"loho\.json is missing; .*rlstir .*--recipe loho --select key:split"):
        read_split(tiny.layout, "loho")


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b'{"format": "rlstir-split-0"}', None])
def test_a_damaged_split_or_one_of_another_form_is_made_again_and_not_believed(tiny: Tiny, raw: bytes | None) -> None:
    made, _ = built(tiny)
    other = msgspec.json.encode(msgspec.structs.replace(made, format="rlstir-split-0"))
    tiny.layout.split("host").write_bytes(other if raw is None else raw)
    with pytest.raises(UpstreamMissing, match="is not as it was written"):
        read_split(tiny.layout, "host")
    assert not current(tiny) and built(tiny) == (made, True)


def test_a_split_of_another_recipe_under_its_name_is_not_believed(tiny: Tiny) -> None:
    built(tiny)
    tiny.layout.split("host").rename(tiny.layout.split("random"))
    with pytest.raises(UpstreamMissing, match=r"random\.json is not as it was written"):
        read_split(tiny.layout, "random")


def test_a_check_that_fails_is_named_and_leaves_the_split_before_it(tiny: Tiny) -> None:
    built(tiny)
    before = tiny.layout.split("host").read_bytes()
    for k in range(4):
        tiny.add(f"ep-0{k}", seed=k, host="host-a", phases=("calm", "armed", "armed"))
    tiny.build_all()
    with pytest.raises(SplitRefused, match="'host' fails its check 'class_coverage': phases never trained on: attack"):
        built(tiny)
    assert tiny.layout.split("host").read_bytes() == before and not current(tiny)


def test_what_is_missing_upstream_leaves_the_split_before_it_and_is_named(tiny: Tiny) -> None:
    built(tiny)
    before = tiny.layout.split("host").read_bytes()
    tiny.add("ep-new", seed=77, host="host-b")
    tiny.validate("host-b")
    with pytest.raises(UpstreamMissing, match=r"\(ep-new\); make them with: .*--select key:window_tensors"):
        built(tiny)
    assert tiny.layout.split("host").read_bytes() == before


def test_a_split_opens_no_tensor(tiny: Tiny) -> None:
    for host in tiny.hosts:
        for path in tiny.layout.tensors(host).glob("*.safetensors"):
            path.unlink()
        assert (tiny.layout.tensors(host) / TABLE).exists()
    made, is_new = built(tiny)
    assert is_new and all(info.windows == {"calm": 3, "armed": 2, "attack": 4} for info in made.episodes)


def test_logs_alone_are_split_without_a_tensor_or_a_schema(tmp_path: Path) -> None:
    from rlstir_core.episodes.store.index import read_index, save_index

    tiny = Tiny(tmp_path)
    for h in range(3):
        for k in range(4):
            tiny.add_logs(f"log-{h}{k}", f"May  1 12:00:01 web sshd[7]: {h}{k}", host=f"h-{h}", corpus=f"corpus-{h}")
    save_index(tiny.layout.index, read_index(tiny.store))
    for host in tiny.hosts:
        tiny.validate(host)
    for recipe in ("corpus", "loho"):
        made, is_new = built(tiny, SplitSettings(folds=2), recipe)
        assert is_new and current(tiny, SplitSettings(folds=2), recipe) and all(info.logs for info in made.tested)
        assert "no phase to cover" in made.checks[-1].detail


def test_a_split_that_is_tried_is_the_one_that_is_made_duplicates_and_all(tiny: Tiny) -> None:
    tiny.add("ep-copy", seed=10, host="host-a")  # the same recording as one of host-b, which is tested
    tiny.build_all()
    tried = try_split(tiny.layout, "host", tiny.hosts, NAMED)
    assert not tiny.layout.split("host").exists()
    made, _ = built(tiny)
    assert (tried.rounds, tried.excluded) == (made.rounds, made.excluded)
    assert "ep-copy" not in made.rounds[0].train and "near-duplicate" in made.excluded[-1].reason
    assert refused_recipes(tiny.layout, tiny.hosts, NAMED)["host"] == ""


def test_a_host_of_few_channels_is_left_out_of_the_file_and_takes_none_from_the_others(tiny: Tiny) -> None:
    for k in range(4):
        tiny.add(f"ep-2{k}", seed=20 + k, host="host-c", drop="proc")
    tiny.build_all()
    default, every = SplitSettings(folds=2), SplitSettings(folds=2, min_shared_channels=0)
    made, _ = built(tiny, default)
    (left,) = made.excluded
    assert (left.kind, left.what, left.n_episodes) == ("host", "host-c", 4)
    assert left.reason.startswith("records 2 of the 5 channels that most hosts record, fewer than 3")
    assert {episode.host for episode in made.episodes} == {"host-a", "host-b"}
    assert b"proc.reads" not in tiny.layout.split("host").read_bytes()
    channels = open_study(tiny.layout, StudyOptions(recipe="host", split=default)).shared["realistic"]
    assert len(channels) == 5
    assert not current(tiny, every)
    assert {episode.host for episode in built(tiny, every)[0].episodes} == {"host-a", "host-b", "host-c"}
