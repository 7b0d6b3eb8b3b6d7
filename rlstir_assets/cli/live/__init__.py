"""`rlstir live`: the live view, and what publishes to it.

What does not belong here: events, the server and the page (`rlstir_core/live`).
"""

from __future__ import annotations

from rlstir_assets.cli.live.replay import replay
from rlstir_assets.cli.live.serve import live

live.add_command(replay)

__all__ = ["live"]
