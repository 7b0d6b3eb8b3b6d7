"""Where Dagster's records lie: below DAGSTER_HOME, which is the checkout unless somebody says otherwise.

Imports no Dagster. What does not belong here: the instance (`instance.py`).
"""

from __future__ import annotations

import os
from pathlib import Path

from rlstir_core.errors import StoreError

RECORDS = Path(".rlstir/dagster")  # as dagster.yaml says
_CHECKOUT = Path(__file__).resolve().parent.parent


def home_folder() -> Path:
    """DAGSTER_HOME, which is the checkout unless the environment says otherwise; StoreError where it cannot be one."""
    home = Path(os.environ.get("DAGSTER_HOME") or _CHECKOUT).absolute()
    if not (home / "dagster.yaml").is_file():
        raise StoreError(
            f"DAGSTER_HOME {home} holds no dagster.yaml; set it to the folder of the RL-STIR checkout and run again"
        )
    return home
