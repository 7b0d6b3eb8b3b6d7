"""The worst test episodes: by which rule, what is said of them, and that their pictures and commands can be had."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from small_world import AT_HALF, ATTACK, QUIET, Schema, recording, world

from rlstir_core.evaluation.detectors.detection import Threshold
from rlstir_core.evaluation.detectors.detector_eval import read_inputs
from rlstir_core.evaluation.detectors.worst import episode_losses, worst_episodes
from rlstir_core.evaluation.report.inputs import ReportInputs
from rlstir_core.evaluation.report.pictures.episodes import _broken, draw_episodes
from rlstir_core.evaluation.report.sections.episodes import episodes_section, show_command
from rlstir_core.evaluation.stats.details import BadEpisode, Cause, CloserLook


def story(labels: list[int], attack: list[float]) -> list[tuple[float, int, float]]:
    return [(5.0 * w, label, p) for w, (label, p) in enumerate(zip(labels, attack, strict=True))]


LABELS = [QUIET, QUIET, ATTACK, ATTACK, QUIET, QUIET]
MISSING = (Cause(reason="channel.missing", source="netflow", episodes=1),)
GOOD, BAD = [0.1, 0.1, 0.9, 0.9, 0.1, 0.1], [0.9, 0.9, 0.2, 0.2, 0.1, 0.9]


def found(attacks: list[list[float]]) -> tuple[BadEpisode, ...]:
    truth, scores = world([story(LABELS, attack) for attack in attacks])
    recordings = {f"ep-{e}": recording(f"ep-{e}", LABELS) for e in range(len(attacks))}
    return worst_episodes(truth, scores, AT_HALF, recordings, Schema(), lambda *_: MISSING)  # type: ignore[arg-type]


def test_the_loss_of_an_episode_is_the_mean_log_loss_of_its_windows() -> None:
    truth, scores = world([story(LABELS, GOOD), story([QUIET, ATTACK], [0.5, 0.0])])
    size_E, loss_E = episode_losses(truth, scores)
    assert size_E.tolist() == [6, 2]
    assert loss_E == pytest.approx([-np.log(0.9), (np.log(2) + 6 * np.log(10)) / 2])  # no window costs more than 13.8


def test_the_worst_come_first_and_of_equals_the_first_by_name() -> None:
    assert [each.episode_id for each in found([GOOD, BAD, GOOD])] == ["ep-1", "ep-0", "ep-2"]
    assert len(found([GOOD] * 12)) == 10


def test_an_episode_is_described_by_what_was_confused_and_by_its_alarms() -> None:
    bad = found([GOOD, BAD])[0]
    assert (bad.verdict, bad.reasons, bad.n_windows, bad.right) == (
        "degraded",
        MISSING,
        6,
        round(1 / 6, 4),
    )
    assert [(c.phase, c.called, c.n_windows) for c in bad.confused] == [
        ("clean", "infecting", 3),
        ("infecting", "clean", 2),
    ]
    assert bad.alarm == "attack missed, 2 false"
    assert [(span.phase, span.since_s, span.until_s) for span in bad.spans] == [
        ("clean", 0, 12.5),
        ("infecting", 12.5, 22.5),
        ("clean", 22.5, 35),
    ]
    assert bad.middle_s == (5, 10, 15, 20, 25, 30) and bad.attack == tuple(BAD) and bad.threshold == 0.5


def test_an_episode_of_few_windows_is_left_out_by_that_rule() -> None:
    truth, scores = world([story([QUIET] * 4, [0.99] * 4), story(LABELS, GOOD)])
    recordings = {"ep-0": recording("ep-0", [QUIET] * 4), "ep-1": recording("ep-1", LABELS)}
    worst = worst_episodes(truth, scores, AT_HALF, recordings, Schema(), lambda *_: ())  # type: ignore[arg-type]
    assert [each.episode_id for each in worst] == ["ep-1"]


def thinned(attack: list[float], scored: Callable[[int], bool] = lambda _: True) -> BadEpisode:
    labels = [QUIET] * len(attack)
    kept = [window for at, window in enumerate(story(labels, attack)) if scored(at)]
    truth, scores = world([kept])
    recordings = {"ep-0": recording("ep-0", labels)}
    (each,) = worst_episodes(truth, scores, AT_HALF, recordings, Schema(), lambda *_: ())  # type: ignore[arg-type]
    return each


@pytest.mark.parametrize("n", [151, 3000])
def test_a_long_episode_keeps_its_peaks_and_is_called_what_most_of_a_stretch_was(
    n: int, sample_inputs: Callable[..., ReportInputs]
) -> None:
    attack = [0.1] * n
    attack[n // 2] = 0.8
    attack[-20:] = [0.9] * 20
    each = thinned(attack)
    assert 75 < len(each.attack) <= 150 and 0.8 in each.attack and list(each.middle_s) == sorted(each.middle_s)
    assert each.called.count("infecting") == 20 // -(-n // 150)  # the lone window names no stretch
    chosen = CloserLook(name="gbt_realistic", worst=(each,))
    assert "in stretches of equal length" in episodes_section(msgspec.structs.replace(sample_inputs(), chosen=chosen))


@pytest.mark.parametrize("n", [100, 151, 170, 299, 3007])
def test_a_line_is_cut_where_windows_were_not_scored_and_nowhere_else(n: int) -> None:
    whole = thinned([0.1] * n)
    assert not np.isnan(_broken(whole, whole.step_s)[1]).any()
    cut = thinned([0.1] * n, lambda at: not n // 3 < at < n // 2)
    assert np.isnan(_broken(cut, cut.step_s)[1]).sum() == 1


def test_ten_pictures_are_small_the_same_each_time_and_stand_in_the_report(
    sample_inputs: Callable[..., ReportInputs],
) -> None:
    inputs = sample_inputs()
    assert draw_episodes(inputs) == {} and episodes_section(inputs) == ""
    chosen = CloserLook(name="gbt_realistic", worst=found([BAD] * 10))
    inputs = msgspec.structs.replace(inputs, chosen=chosen)
    drawn = draw_episodes(inputs)
    assert list(drawn) == [f"worst_{n:02}" for n in range(1, 11)] and drawn == draw_episodes(inputs)
    assert max(len(png) for png in drawn.values()) < 20_000
    pictures = inputs.pictures | {name: f"plots/{name}.png" for name in drawn}
    text = episodes_section(msgspec.structs.replace(inputs, pictures=pictures))
    assert "degraded (netflow missing) " in text
    assert text.count("](plots/worst_") == 10 and "clean called infecting in 3" in text


def test_where_no_phase_is_an_attack_an_episode_has_neither_its_line_nor_alarms(
    sample_inputs: Callable[..., ReportInputs],
) -> None:
    truth, scores = world([story(LABELS, BAD)])
    truth, none = replace(truth, attack=(False, False)), Threshold(fpr=0.01, values={}, n_negatives=0)
    recordings = {"ep-0": recording("ep-0", LABELS)}
    worst = worst_episodes(truth, scores, none, recordings, Schema(), lambda *_: ())  # type: ignore[arg-type]
    assert (worst[0].attack, worst[0].alarm) == ((), "")
    inputs = msgspec.structs.replace(
        sample_inputs(), chosen=CloserLook(name="gbt_realistic", worst=worst), one_sided="no attack"
    )
    text = episodes_section(inputs)
    assert "alarms" not in text and "attack" not in text.partition("|")[0]
    assert list(draw_episodes(inputs)) == ["worst_01"]


@pytest.mark.slow
def test_the_command_beside_a_picture_draws_that_episode_from_the_folder_of_the_report(
    driven: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rlstir_assets.cli import cli

    inputs = read_inputs(driven.layout, "host")
    assert inputs is not None and inputs.chosen is not None
    words = shlex.split(show_command(inputs.chosen.worst[0]))
    monkeypatch.chdir(driven.layout.report("host").parent)
    result = CliRunner().invoke(cli, [*words[1:-1], str(tmp_path / "shown")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "shown" / "telemetry.png").is_file()
