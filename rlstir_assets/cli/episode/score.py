"""`rlstir score`: what the detectors say of episodes that nobody has labelled.

What does not belong here: scoring, and which thresholds count.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rlstir_assets.cli.common import READ_HELP, STORE_HELP, as_text, refusing, work_between
from rlstir_assets.console import Console, plain
from rlstir_core.errors import ConfigError, RlstirError
from rlstir_core.remedies import Workplace, command, how_to_make

if TYPE_CHECKING:
    from rlstir_core.detectors.single import IndexClaim
    from rlstir_core.evaluation.detectors.saying.records import EpisodeScore, ModelSays
    from rlstir_core.results.layout import Layout

_BARS = " ▁▂▃▄▅▆▇█"
_MOST_RUNS = 12  # of phases on a terminal; --json has them all
_MOST_CHANNELS = 5
_WIDTH = 60


@click.command(short_help="What the detectors say of an episode.")
@click.argument("episodes", nargs=-1, required=True, metavar="EPISODE...")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--store", default=None, help=STORE_HELP)
@click.option("--recipe", default="", help="Whose checkpoints: host, loho, sample ... [the first that has a report]")
@click.option("--host", default="", help="The host that recorded it, where an id of the store is not enough.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document.")
@refusing
def score(
    episodes: tuple[str, ...], data: str | None, store: str | None, recipe: str, host: str, as_json: bool
) -> None:
    """What every detector says of an episode, labelled or not: phases, P(attack), the first alarm.

    EPISODE is a tarball (.tar.zst), wherever it lies, or the id of an episode of the store. Labels are not read.

    Example: rlstir score /media/usb/ep-0123456789ab.tar.zst
    """
    target, source = work_between(data, store)
    found, refused = [], []
    with Console(quiet=as_json) as console:
        console.say(f"scoring {episodes[0]}" + (f" and {len(episodes) - 1} more" if len(episodes) > 1 else ""))
        from rlstir_core.evaluation.detectors.scoring import Scorer, default_recipe
        from rlstir_core.results.champion import champion_of, is_succeeded
        from rlstir_core.results.layout import Layout

        layout = Layout(target)
        chosen = recipe or default_recipe(layout, source)
        speaking = champion_of(layout, chosen, layout.report_inputs(chosen))
        scorer = Scorer(speaking, source, chosen, console.state)
        waits = is_succeeded(layout, chosen)
        for name in episodes:
            try:
                path, claims = tarball_of(name, source, host)
                found.append(scorer.score(path, claims, console.state))
            except RlstirError as error:
                if len(episodes) == 1:
                    raise
                refused.append(str(error))
        console.state("")
    following = _next(found, layout, source) if found else ""
    if as_json:
        head = {
            "recipe": scorer.recipe,
            "trained_on": scorer.trained_on,
            "chosen": scorer.chosen,
            "unreported_since": waits,
        }
        click.echo(as_text(head | {"episodes": found, "refused": refused, "next": following}))
    else:
        click.echo(plain(f"recipe {scorer.recipe}, trained on {', '.join(scorer.trained_on) or 'hosts not known'}"))
        if waits:
            make = how_to_make("comparison_v2", scorer.recipe)
            click.echo(plain(f"  as in the last report; another training or evaluation waits for its report: {make}"))
        for each in found:
            for line in _lines(each):
                click.echo(plain(line))
        for sentence in refused:
            click.echo(plain(f"not scored: {sentence}"))
        following = following or command("list", "episodes", place=Workplace(store=source, data=target))
        click.echo(plain(f"next: {following}"))
    if refused:
        sys.exit(2)


def tarball_of(name: str, store: Path, host: str) -> tuple[Path, IndexClaim]:
    """The tarball that `name` means, and what the store's index says of it where it is an id."""
    from rlstir_core.detectors.single import IndexClaim
    from rlstir_core.episodes.store.index import SUFFIX, named_entries
    from rlstir_core.episodes.store.lookup import find_entry

    path = Path(name)
    if name.endswith(SUFFIX) or len(path.parts) > 1 or path.is_file():
        if host:
            raise ConfigError(f"--host {host} goes with an id of the store, not with the tarball {name}; leave it out")
        return path.absolute(), IndexClaim()
    entry = find_entry(named_entries(store), name, host, f"store {store}")
    claims = IndexClaim(host_id=entry.host_id, episode_id=entry.episode_id, sha256=entry.sha256, n_bytes=entry.n_bytes)
    return store / entry.path, claims


def _next(found: Sequence[EpisodeScore], layout: Layout, store: Path) -> str:
    """A command that goes on: the episode's pictures where the data folder knows it, else into the store with it."""
    first = found[0]
    if layout.rows(first.host_id, first.episode_id).exists():
        words = ("show", first.episode_id, "--host", first.host_id, "--out", "pictures")
        return command(*words, place=Workplace(data=layout.data))
    return command("add", first.path, place=Workplace(store=store))


def _lines(episode: EpisodeScore) -> Iterator[str]:
    n, last = len(episode.window_end_s), episode.window_end_s[-1]
    yield ""
    yield f"{episode.episode_id} of {episode.host_id}: {episode.duration_s:g} s, {n} windows up to {last:g} s"
    yield from _wrapped(episode.side, 2)
    yield from _recording(episode)
    shown = [says for says in episode.models if not says.same_as]
    for place, says in enumerate(shown):
        if place == 0:
            yield from _first(says, episode.window_end_s)
            if len(shown) > 1:
                yield f"  {'others':<22}{'alarm':>9}{'threshold':>11}{'P(attack)':>11}  most of the time"
        else:
            yield _row(says)
    for sentence in episode.silent:
        yield from _wrapped(sentence, 2)
    if same := sorted({says.mode for says in episode.models if says.same_as}):
        yield from _wrapped(f"mode {', '.join(same)} has the same channels and weights, and says the same", 2)


def _recording(episode: EpisodeScore) -> Iterator[str]:
    """What was missing in the recording, and what lies outside of what was trained on."""
    from rlstir_core.detectors.reach import FAR_SHARE

    yield f"  recording: {episode.verdict}"
    for reason, words in episode.reasons.items():
        yield from _wrapped(f"{reason}: {words}", 4)
    if episode.detail:
        yield from _wrapped(episode.detail, 4)
    if episode.missing_sources:
        yield from _wrapped(f"sources absent: {', '.join(episode.missing_sources)}", 4)
    if episode.missing_channels:
        yield from _wrapped(f"channels without a value: {_some(episode.missing_channels)}", 4)
    if episode.distance is not None and episode.far_beyond is not None and episode.distance > episode.far_beyond:
        yield from _wrapped(
            f"warning: it lies far from what was trained on, at a distance of {episode.distance:.2f} where train "
            f"windows are at 1 and {FAR_SHARE:.0%} of left-out train episodes beyond {episode.far_beyond:.2f}; the "
            "figures of the report promise less here",
            2,
        )
    if episode.unusual is None:
        yield from _wrapped("whether channels lie outside what was trained on: no checkpoint of a network tells", 2)
    for each in (episode.unusual or ())[:_MOST_CHANNELS]:
        yield from _wrapped(
            f"warning: {each.channel} lies outside what was trained on in {each.share:.0%} of the windows "
            f"({each.distance:+.1f} standard deviations)",
            2,
        )
    if episode.unusual:
        more = len(episode.unusual) - _MOST_CHANNELS
        yield from _wrapped((f"and {more} channels more; " if more > 0 else "") + episode.rule, 4)


def _first(says: ModelSays, ends_s: Sequence[float]) -> Iterator[str]:
    """The detector to speak of, in full."""
    yield f"  {says.model} {says.mode}" + (", chosen on validation" if says.chosen else "")
    for run in says.phases[:_MOST_RUNS]:
        yield f"    {run.start_s:7g} to {run.end_s:7g} s  {run.phase:<18} P {run.probability:.2f}"
    if len(says.phases) > _MOST_RUNS:
        yield f"    and {len(says.phases) - _MOST_RUNS} more stretches; --json has them all"
    if says.highest is None:
        yield from _wrapped(f"{says.alarm}: {says.threshold_from}", 4)
        return
    columns = _columns(says.attack)
    yield f"    P(attack) |{''.join(_BARS[round(p * (len(_BARS) - 1))] for p in columns)}| up to {ends_s[-1]:g} s"
    yield f"    highest {says.highest:.4f} at {says.highest_at_s:g} s"
    threshold = "none" if says.threshold is None else f"{says.threshold:.4f}"
    yield from _wrapped(f"threshold {threshold}: {says.threshold_from}", 4)
    yield f"    {says.alarm}"


def _wrapped(text: str, indent: int) -> list[str]:
    """Lines that fit a terminal of 80 columns."""
    return textwrap.wrap(plain(text), 79, initial_indent=" " * indent, subsequent_indent=" " * (indent + 2))


def _columns(attack: Sequence[float]) -> list[float]:
    """The highest value of each of at most sixty stretches of equal length."""
    n = min(_WIDTH, len(attack))
    edges = [len(attack) * at // n for at in range(n + 1)]
    return [max(attack[begin:end]) for begin, end in pairwise(edges)]


def _row(says: ModelSays) -> str:
    seconds: dict[str, float] = {}
    for run in says.phases:
        seconds[run.phase] = seconds.get(run.phase, 0.0) + run.end_s - run.start_s
    phase = max(seconds, key=lambda name: seconds[name])
    share = seconds[phase] / max(sum(seconds.values()), 1e-9)
    alarm = "?" if says.threshold is None else "none" if says.first_alarm_s is None else f"{says.first_alarm_s:g} s"
    threshold = "none" if says.threshold is None else f"{says.threshold:.4f}"
    name = f"{says.model} {says.mode}"
    highest = "-" if says.highest is None else f"{says.highest:.4f}"
    return f"  {name:<22}{alarm:>9}{threshold:>11}{highest:>11}  {phase} {share:.0%}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
