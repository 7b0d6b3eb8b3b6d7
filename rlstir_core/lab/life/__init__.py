"""What happens on a guest: attacks, duties, habits and everyday jobs as TOML, and what carries them out.

What does not belong here: the machine they happen on (`machine/`) and the logs they leave (`writers/`).
"""
