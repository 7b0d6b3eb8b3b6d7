"""From bytes to a verdict: `reading/` opens one tarball, `store/` knows the store, `validation/` joins the two.

What stands here itself is what all three speak of: the limits, and what reading an episode gives. What does not
belong here: what rows and logs mean (`telemetry/`, `hostlogs/`), and anything that needs torch.
"""
