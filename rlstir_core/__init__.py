"""The core: everything RL-STIR computes, as functions of files and settings.

What does not belong here: Dagster, and anything that decides when a step runs (`rlstir_assets/`).
"""
