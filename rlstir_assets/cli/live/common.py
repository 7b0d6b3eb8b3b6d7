"""What the commands that publish share: the publisher of a data folder, and its last line.

What does not belong here: any command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rlstir_core.errors import ConfigError
from rlstir_core.live.publisher import Publisher
from rlstir_core.remedies import Workplace, command
from rlstir_core.results.lock import is_held

_LAST_S = 30.0  # for what still waits when a command ends


@contextmanager
def publisher_of(data: Path, source: str) -> Iterator[Publisher]:
    """The publisher to the live view of `data`; ConfigError where none runs, or where it did not take everything."""
    folder = data / "live"
    if not is_held(folder / ".lock"):
        start = command("live", place=Workplace(data=data))
        raise ConfigError(f"no live view of {data} runs; open one in another shell with: {start}")
    publisher = Publisher.of(data, source=f"urn:rlstir:{source}")
    yield publisher
    counts = publisher.close(_LAST_S)
    if counts.dropped or counts.refused:
        lost = counts.dropped + counts.refused
        raise ConfigError(f"{lost} of {lost + counts.sent} events did not reach the live view: {counts.error}")
