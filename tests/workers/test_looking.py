"""A worker that sees other folders, or makes other results, is refused by name before it works."""

from __future__ import annotations

from pathlib import Path

import pytest

from rlstir_core.errors import ConfigError
from rlstir_core.workers.looking import Look, answers_in, asked_in, look


@pytest.fixture
def index(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "index.jsonl"
    path.parent.mkdir()
    path.write_text('{"episode_id":"a"}\n')
    (tmp_path / "data").mkdir()
    return path


def refusal(index: Path, **wrong: Look | Exception) -> str:
    """What is said of a good worker and those; nothing is left in the folder afterwards."""
    folder = index.parent.parent / "data"
    with asked_in(folder) as question:
        answers_in(question, {"good": look([index], question)}, [index])
        try:
            answers_in(question, {"good": look([index], question), **wrong}, [index])
        except ConfigError as error:
            return str(error)
        finally:
            assert list(folder.iterdir())
    assert not list(folder.iterdir())
    return ""


def seen(index: Path) -> Look:
    with asked_in(index.parent.parent / "data") as question:
        return look([index], question)


def test_a_worker_that_sees_the_same_is_believed_and_leaves_nothing(index: Path) -> None:
    assert refusal(index) == ""
    assert not list((index.parent.parent / "data").iterdir())


def test_an_index_that_grew_meanwhile_is_the_same(index: Path) -> None:
    before = seen(index).heads
    index.write_text(index.read_text() + '{"episode_id":"b"}\n')
    assert seen(index).heads == before


def test_a_worker_with_another_store_at_the_same_path_is_refused(index: Path) -> None:
    other = seen(index)._replace(heads=("other",))
    assert refusal(index, bad=other).startswith(
        f"1 of 2 Dask workers do not see {index} as it is here, the first is bad"
    )


def test_a_worker_with_a_data_folder_of_its_own_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlstir_core.workers.looking._APPEARS_S", 0.2)
    elsewhere = seen(index)  # its answer is not in the folder of the question that is asked now
    assert "cannot write to" in refusal(index, bad=elsewhere)


def test_a_worker_that_finds_no_question_or_cannot_write_gives_no_answer(index: Path, tmp_path: Path) -> None:
    assert look([index], tmp_path / "nowhere" / "question").answer == ""
    assert "cannot write to" in refusal(index, bad=seen(index)._replace(answer=""))


@pytest.mark.parametrize("name", ["rlstir", "Python", "numpy", "pyarrow"])
def test_a_worker_of_another_version_is_refused(index: Path, name: str) -> None:
    good = seen(index)
    bad = good._replace(makes={**good.makes, name: "0"})
    assert f"have another version of {name}, the first is bad; install the same one there" in refusal(index, bad=bad)


def test_a_worker_that_cannot_load_rlstir_is_refused(index: Path) -> None:
    assert "1 of 2 Dask workers cannot load rlstir as it is here" in refusal(index, bad=ImportError("none"))
