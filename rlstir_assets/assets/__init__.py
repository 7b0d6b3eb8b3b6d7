"""The assets, one module per group. Bodies are thin: one call of the core, and metadata."""

import warnings

from dagster import BetaWarning

# Partition ranges need a backfill policy; that it is marked beta is no news to whoever runs this.
warnings.filterwarnings("ignore", category=BetaWarning)
