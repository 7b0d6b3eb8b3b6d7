"""The investigator's networks: speed and memory of their training."""
