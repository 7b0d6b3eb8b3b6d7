"""One episode, or one's own logs, as one offline page: what detectors, encoder and investigator say of it.

What does not belong here: how any of it is found (`detectors/`, `investigator/`), and reports of many episodes.
"""
