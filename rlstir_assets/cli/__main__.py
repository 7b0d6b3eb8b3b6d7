"""`python -m rlstir_assets.cli`: the same as `rlstir`."""

from rlstir_assets.cli import main

main()
