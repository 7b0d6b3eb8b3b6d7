"""A run that comes in parts: nothing is lost, nothing stands twice, and what contradicts itself is refused."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from types import SimpleNamespace as Kit

import numpy as np
import pytest

from rlstir_core.contract.registry import load_registry
from rlstir_core.errors import ConfigError, StoreError
from rlstir_core.importers.tables import import_table

TIMES = 'time = { column = "when", unit = "s" }'


def days(kit: Kit, folder: Path, mapping: str | None = None) -> tuple[Path, Path]:
    (folder / "m.toml").write_text(mapping or kit.LAB)
    (folder / "day1.csv").write_text(kit.table(kit.rows(range(12))))
    (folder / "day2.csv").write_text(kit.table(kit.rows(range(12, 20))))
    return folder / "day1.csv", folder / "day2.csv"


def test_the_second_day_of_a_run_joins_the_first(kit: Kit, tmp_path: Path) -> None:
    one, two = days(kit, tmp_path)
    import_table(one, tmp_path / "m.toml", tmp_path / "s")
    made = import_table(two, tmp_path / "m.toml", tmp_path / "s")
    assert (made.n_joined, made.n_rows_before, made.n_replaced, made.n_equal_rows) == (1, 12, 0, 0)
    assert kit.column(tmp_path / "s") == list(kit.LOADS)
    assert kit.phases(tmp_path / "s") == [(-0.5, "clean"), (9.5, "bad")]
    assert kit.read_back(tmp_path / "s")["r1"].verdict.verdict == "ok"


def test_joining_gives_what_one_command_with_all_files_gives(kit: Kit, tmp_path: Path) -> None:
    files = days(kit, tmp_path)
    made = import_table(files, tmp_path / "m.toml", tmp_path / "at-once")
    assert (made.n_files, made.n_rows, made.n_episodes, made.n_joined_files) == (2, 20, 1, 1)
    for number, order in enumerate(itertools.permutations(files)):
        for file in order:
            import_table(file, tmp_path / "m.toml", tmp_path / f"s{number}", corpus="c")
    import_table(files, tmp_path / "m.toml", tmp_path / "c", corpus="c")
    assert kit.content(tmp_path / "s0") == kit.content(tmp_path / "s1") == kit.content(tmp_path / "c")


def test_what_is_there_already_changes_nothing(kit: Kit, tmp_path: Path) -> None:
    files = days(kit, tmp_path)
    import_table(files, tmp_path / "m.toml", tmp_path / "s")
    before = kit.content(tmp_path / "s")
    for again in (*files, files, files[::-1]):
        made = import_table(again, tmp_path / "m.toml", tmp_path / "s")
        assert (made.n_unchanged, made.n_joined, made.n_replaced) == (1, 0, 0)
    kit.bring(tmp_path, kit.table(kit.rows(range(3, 9))), name="a-part-of-it.csv", store="s")
    assert kit.content(tmp_path / "s") == before


def test_a_file_that_grew_brings_its_new_rows(kit: Kit, tmp_path: Path) -> None:
    kit.bring(tmp_path, kit.table(kit.rows(range(12))))
    made = kit.bring(tmp_path, kit.table(kit.rows(range(20))))
    assert (made.n_joined, made.n_rows_before, made.n_equal_rows) == (1, 12, 12)
    assert kit.column(tmp_path / "store") == list(kit.LOADS)


def test_a_column_that_the_first_part_lacks_is_filled_in(kit: Kit, tmp_path: Path) -> None:
    more = [[*row, i % 3] for i, row in enumerate(kit.rows(range(12)))]
    kit.bring(tmp_path, kit.table(kit.rows(range(12))))
    kit.bring(tmp_path, kit.table(more, "run,host,when,state,load,fan"), name="u.csv")
    assert kit.column(tmp_path / "store", "fan") == [i % 3 for i in range(12)]
    assert kit.column(tmp_path / "store") == list(kit.LOADS[:12])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: [*row[:4], 77], "two values of 'load' at 2024-05-23T20:00:11"),
        (lambda row: [*row[:3], "clean", row[4]], "two phases at 2024-05-23T20:00:1"),
    ],
)
def test_parts_that_contradict_each_other_are_refused_and_nothing_is_written(
    kit: Kit, tmp_path: Path, change, words
) -> None:
    kit.bring(tmp_path, kit.table(kit.rows(range(12))))
    before = kit.content(tmp_path / "store")
    changed = kit.table(change(row) for row in kit.rows(range(11, 20)))
    with pytest.raises(StoreError, match=words):
        kit.bring(tmp_path, changed, name="u.csv")
    assert kit.content(tmp_path / "store") == before
    made = kit.bring(tmp_path, changed, name="u.csv", replace=True)
    assert (made.n_replaced, made.n_joined) == (1, 0)
    assert len(kit.column(tmp_path / "store")) == 9


@pytest.mark.parametrize("key", ["profile", "sample"])
def test_parts_of_another_profile_or_sample_are_refused(kit: Kit, tmp_path: Path, key: str) -> None:
    mapping = kit.LAB.replace('profile = { constant = "p" }, sample = "run"', 'profile = "job", sample = "what"')
    text = kit.table([[*row, "j", "w"] for row in kit.rows(range(12))], "run,host,when,state,load,job,what")
    kit.bring(tmp_path, text, mapping)
    other = text.replace(",j,", ",k,") if key == "profile" else text.replace(",w\n", ",v\n")
    with pytest.raises(StoreError, match=f"has the {key} "):
        kit.bring(tmp_path, other, mapping, name="u.csv")


def test_parts_of_another_corpus_are_refused_only_where_one_is_named(kit: Kit, tmp_path: Path) -> None:
    one, two = days(kit, tmp_path)
    import_table(one, tmp_path / "m.toml", tmp_path / "s")
    with pytest.raises(StoreError, match="is of corpus 'day1' in the store"):
        import_table(two, tmp_path / "m.toml", tmp_path / "s", corpus="elsewhere")
    import_table(two, tmp_path / "m.toml", tmp_path / "s")
    assert kit.read_back(tmp_path / "s")["r1"].episode.meta.corpus == "day1"


def test_another_mapping_of_the_same_file_replaces_what_it_gave(kit: Kit, tmp_path: Path) -> None:
    kit.bring(tmp_path, kit.table(kit.rows(range(12))))
    early = kit.LAB.replace('"clean", "bad"', '"clean", "bad", "idle"').replace(
        "benign", 'names = { clean = "idle" }, benign'
    )
    made = kit.bring(tmp_path, kit.table(kit.rows(range(12))), early)
    assert (made.n_replaced, made.n_joined) == (1, 0)
    assert [phase for _, phase in kit.phases(tmp_path / "store")] == ["idle", "bad"]


def test_one_of_several_files_under_another_mapping_is_refused(kit: Kit, tmp_path: Path) -> None:
    mapping = kit.LAB.replace('["*"]', '["load"]')
    for name, steps in (("a.csv", range(6)), ("b.csv", range(6, 12))):
        text = kit.table([[*row, row[2] + 60] for row in kit.rows(steps)], "run,host,when,state,load,later")
        kit.bring(tmp_path, text, mapping, name=name)
    (tmp_path / "m.toml").write_text(mapping.replace('column = "when"', 'column = "later"'))
    with pytest.raises(StoreError, match="was imported before and gives episode 'r1' other rows"):
        import_table(tmp_path / "a.csv", tmp_path / "m.toml", tmp_path / "store")


def test_without_times_of_their_own_two_parts_have_no_order(kit: Kit, tmp_path: Path) -> None:
    files = days(kit, tmp_path, kit.LAB.replace(TIMES, "time = { step_s = 1.0 }").replace('["*"]', '["load"]'))
    with pytest.raises(StoreError, match="nobody knows the order"):
        import_table(files, tmp_path / "m.toml", tmp_path / "s")
    import_table(files[0], tmp_path / "m.toml", tmp_path / "s")
    with pytest.raises(StoreError, match=r"the store \(12 rows\) and in day2.csv \(8 rows\)"):
        import_table(files[1], tmp_path / "m.toml", tmp_path / "s")
    (tmp_path / "copy.csv").write_text(files[0].read_text() + "\n")
    assert import_table(tmp_path / "copy.csv", tmp_path / "m.toml", tmp_path / "s").n_unchanged == 1


def test_a_column_that_orders_the_rows_orders_them_across_the_files_of_a_command(kit: Kit, tmp_path: Path) -> None:
    files = days(kit, tmp_path, kit.LAB.replace(TIMES, 'time = { step_s = 1.0, order = "when" }'))
    import_table(files[::-1], tmp_path / "m.toml", tmp_path / "s")
    assert kit.column(tmp_path / "s") == list(kit.LOADS)
    (tmp_path / "day2.csv").write_text(kit.table([[*row[:2], kit.T0, *row[3:]] for row in kit.rows(range(12, 20))]))
    with pytest.raises(StoreError, match="its order column repeats"):
        import_table(files, tmp_path / "m.toml", tmp_path / "t")


def test_series_of_two_ts_files_on_one_host_do_not_replace_each_other(kit: Kit, tmp_path: Path) -> None:
    text = "@problemName Toy\n@classLabel true a b\n@data\n1,2,3:a\n"
    (tmp_path / "A.ts").write_text(text)
    (tmp_path / "B.ts").write_text(text.replace("1,2,3", "4,5,6"))
    with pytest.raises(StoreError, match="give different runs two hosts"):
        import_table([tmp_path / "A.ts", tmp_path / "B.ts"], "uea", tmp_path / "s", host="lab")
    assert import_table([tmp_path / "A.ts", tmp_path / "B.ts"], "uea", tmp_path / "s").hosts == ("A", "B")


@pytest.mark.parametrize("since", ["epoch", "start"])
def test_parts_cut_anywhere_and_brought_in_any_order_make_one_run(kit: Kit, tmp_path: Path, since: str) -> None:
    mapping = kit.LAB.replace('unit = "s"', f'unit = "ms", since = "{since}"').replace(
        "[[channels]]", '[[channels]]\ncolumns = ["a*"]\nsource = "other"\n[[channels]]'
    )
    zero = kit.T0 * 1000 if since == "epoch" else 5_000
    for seed in range(3):
        rng = random.Random(seed)
        at = sorted(rng.sample(range(60_000), 25))
        turn = rng.randint(3, 20)
        whole = [
            [
                "r1",
                "m1",
                zero + t,
                "clean" if i < turn else "bad",
                rng.randint(0, 9),
                rng.choice(("", 1.5, -2)),
                7 - i % 4,
            ]
            for i, t in enumerate(at)
        ]
        cut, folder = rng.randint(1, 24), tmp_path / str(seed)
        parts = [whole[:cut], whole[cut - 1 :]] if seed % 2 else [whole[::2], whole[1::2]]
        rng.shuffle(parts)
        for number, part in enumerate([*parts, whole]):
            place = "whole" if number == len(parts) else "parts"
            (folder / place).mkdir(parents=True, exist_ok=True)
            names = "run,host,when,state,load,a1,a2"
            kit.bring(folder / place, kit.table(part, names), mapping, name=f"{number}.csv", corpus="c")
        found = [kit.read_back(folder / place / "store")["r1"].episode for place in ("whole", "parts")]
        assert found[0].labels == found[1].labels
        assert (found[0].meta.t_start_wall_ns, found[0].meta.t_end_wall_ns) == (
            found[1].meta.t_start_wall_ns,
            found[1].meta.t_end_wall_ns,
        )
        for source, expected in found[0].sources.items():
            for name, values in expected.columns.items():
                np.testing.assert_array_equal(found[1].sources[source].columns[name], values)


def test_rows_that_share_their_times_stand_side_by_side(kit: Kit, tmp_path: Path) -> None:
    def flows(*sizes: int) -> str:
        return kit.table([["r1", "m1", kit.T0 + i // 3, "clean", size] for i, size in enumerate(sizes)])

    kit.bring(tmp_path, flows(5, 5, 7, 8, 9))
    made = kit.bring(tmp_path, kit.table([["r1", "m1", kit.T0 + 1, "clean", size] for size in (9, 9, 4)]), name="u.csv")
    assert (made.n_joined, made.n_equal_rows) == (1, 1)
    assert sorted(kit.column(tmp_path / "store")) == [4, 5, 5, 7, 8, 9, 9]
    before = kit.content(tmp_path / "store")
    kit.bring(tmp_path, flows(5, 5, 7, 8, 9) + "\n", name="again.csv")
    assert kit.content(tmp_path / "store") == before


def test_an_episode_that_cannot_be_read_back_is_not_overwritten(kit: Kit, tmp_path: Path) -> None:
    kit.bring(tmp_path, kit.table(kit.rows(range(12))))
    (tarball,) = (tmp_path / "store").rglob("*.zst")
    tarball.write_bytes(b"no tarball")
    with pytest.raises(StoreError, match="cannot be read back"):
        kit.bring(tmp_path, kit.table(kit.rows(range(12, 20))), name="u.csv")
    assert kit.bring(tmp_path, kit.table(kit.rows(range(12, 20))), name="u.csv", replace=True).n_replaced == 1


def test_runs_of_one_name_on_hosts_named_after_files_are_pointed_out(kit: Kit, tmp_path: Path) -> None:
    one, two = days(kit, tmp_path, kit.LAB.replace(', host = "host"', "").replace('["*"]', '["load"]'))
    made = import_table([one, two], tmp_path / "m.toml", tmp_path / "s")
    assert made.hosts == ("day1", "day2") and made.hosts_from_file_names
    assert made.n_same_name == 2
    assert "runs, such as 'r1', are on another host too" in made.notes[-1]
    assert import_table([one, two], tmp_path / "m.toml", tmp_path / "t", host="m1").n_same_name == 0


def test_the_second_part_may_know_only_some_phases_of_the_mapping(kit: Kit, tmp_path: Path) -> None:
    open_ended = kit.LAB.replace(', phases = ["clean", "bad"]', "")
    kit.bring(tmp_path, kit.table(kit.rows(range(10))), open_ended)
    kit.bring(tmp_path, kit.table(kit.rows(range(10, 20))), open_ended, name="u.csv")
    assert [phase for _, phase in kit.phases(tmp_path / "store")] == ["clean", "bad"]
    assert load_registry(tmp_path / "store").phases == ("clean", "bad")
    with pytest.raises(ConfigError, match="no phase of the table"):
        kit.bring(tmp_path, kit.table(kit.rows(range(10, 20))), open_ended, store="alone")


@pytest.mark.parametrize("since", ["epoch", "start"])
def test_an_episode_that_names_no_files_is_joined_where_its_times_are_known(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, since: str
) -> None:
    mapping = kit.LAB.replace('unit = "s"', f'unit = "s", since = "{since}"')
    with monkeypatch.context() as patched:
        patched.setattr("rlstir_core.importers.tables.NOTE", "something_else")
        kit.bring(tmp_path, kit.table(kit.rows(range(12))), mapping)
    later = kit.table(kit.rows(range(11, 20)))
    if since == "start":
        with pytest.raises(StoreError, match="without the time at which its table began"):
            kit.bring(tmp_path, later, mapping, name="u.csv")
        return
    kit.bring(tmp_path, later, mapping, name="u.csv")
    assert kit.column(tmp_path / "store") == list(kit.LOADS)
    assert kit.phases(tmp_path / "store") == [(-0.5, "clean"), (9.5, "bad")]


def test_a_contradiction_in_times_since_the_start_is_told_in_seconds(kit: Kit, tmp_path: Path) -> None:
    mapping = kit.LAB.replace('unit = "s"', 'unit = "s", since = "start"')
    text = [["r1", "m1", i, "clean", load] for i, load in enumerate(kit.LOADS)]
    kit.bring(tmp_path, kit.table(text[:12]), mapping)
    with pytest.raises(StoreError, match=r"two values of 'load' at 0\.000 s: 3 in the store and 9 in u\.csv"):
        kit.bring(
            tmp_path, kit.table([*row[:2], i, *row[3:]] for i, row in enumerate(text[12:])), mapping, name="u.csv"
        )
    kit.bring(tmp_path, kit.table(text[12:]), mapping, name="u.csv")
    assert kit.column(tmp_path / "store") == list(kit.LOADS)
