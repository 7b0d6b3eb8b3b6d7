"""Events of what the project knows: an episode that is replayed, figures, speeds.

What does not belong here: how events travel, and any figure that is not computed elsewhere.
"""
