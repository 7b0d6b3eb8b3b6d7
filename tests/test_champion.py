"""What the last report speaks of stays until the next one, whatever is trained in between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlstir_core.atomic import write_bytes, write_json
from rlstir_core.results.champion import champion_of, is_succeeded, keep_champion
from rlstir_core.results.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "data")
    write_json(made.feature_schema, {"channels": []})
    write_json(made.split("host"), {"train": ["a"]})
    write_json(made.report_inputs("host"), {"models": 1})
    _train(made, "first")
    return made


def _train(layout: Layout, weights: str) -> None:
    """As a training does: the weights, and then the JSON that holds their hash."""
    write_bytes(layout.artifacts("host") / "mlp_realistic.0.safetensors", weights.encode())
    write_json(layout.checkpoint("host", "mlp", "realistic"), {"sidecar_sha256": weights})


def _weights(layout: Layout) -> str:
    found = champion_of(layout, "host", layout.report_inputs("host"))
    return (found.artifacts("host") / "mlp_realistic.0.safetensors").read_text()


def test_a_training_changes_nothing_for_who_asks_until_a_report_is_written(layout: Layout) -> None:
    assert not is_succeeded(layout, "host") and _weights(layout) == "first"
    keep_champion(layout, "host")
    assert not is_succeeded(layout, "host")
    _train(layout, "second")
    assert is_succeeded(layout, "host") and _weights(layout) == "first"
    keep_champion(layout, "host")
    assert not is_succeeded(layout, "host") and _weights(layout) == "second"
    assert len([path for path in layout.champions("host").iterdir() if path.is_dir()]) == 1


def test_what_is_kept_takes_no_room_and_where_files_have_one_name_only_it_is_copied(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_champion(layout, "host")
    own = layout.artifacts("host") / "mlp_realistic.0.safetensors"
    kept = champion_of(layout, "host", own).artifacts("host") / own.name
    assert kept.samefile(own)
    _train(layout, "second")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    keep_champion(layout, "host")
    copied = champion_of(layout, "host", own).artifacts("host") / own.name
    assert copied.read_text() == "second" and not copied.samefile(own)


def test_keeping_that_was_cut_off_leaves_what_was_kept_and_is_mended(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_champion(layout, "host")
    _train(layout, "second")

    def fall(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("rlstir_core.results.champion.write_json", fall)
        with pytest.raises(KeyboardInterrupt):
            keep_champion(layout, "host")
    assert _weights(layout) == "first"
    keep_champion(layout, "host")
    assert _weights(layout) == "second"


def test_links_are_not_followed_and_a_pointer_that_leads_elsewhere_is_none(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (layout.artifacts("host") / "planted.json").symlink_to(tmp_path / "secret")
    keep_champion(layout, "host")
    kept = champion_of(layout, "host", layout.report_inputs("host"))
    assert kept is not layout and not (kept.artifacts("host") / "planted.json").exists()
    for pointer in (b'{"folder":"../../processed"}', b'{"folder":""}', b"{torn", b'{"folder":"gone"}'):
        (layout.champions("host") / "now.json").write_bytes(pointer)
        assert champion_of(layout, "host", layout.report_inputs("host")) is layout


def test_what_was_first_made_after_the_report_is_read_where_it_lies(layout: Layout) -> None:
    keep_champion(layout, "host")
    write_json(layout.encoder("host"), {"new": True})
    assert champion_of(layout, "host", layout.encoder("host")) is layout
    assert champion_of(layout, "host", layout.checkpoint("host", "mlp", "realistic")) is not layout
