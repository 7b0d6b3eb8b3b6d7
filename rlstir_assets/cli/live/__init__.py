"""`rlstir live`: the live view, and what publishes to it.

What does not belong here: events, the server and the page (`rlstir_core/live`).
"""

from __future__ import annotations

from rlstir_assets.cli.live.figures import metrics, perf, profiles
from rlstir_assets.cli.live.replay import replay
from rlstir_assets.cli.live.serve import live

for _command in (replay, metrics, profiles, perf):
    live.add_command(_command)

__all__ = ["live"]
