"""The Dagster layer: thin assets over `rlstir_core`, the driver and the command line."""
