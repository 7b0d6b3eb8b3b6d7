"""What a store may hold, as data: members, log formats, the registry, reason codes.

What does not belong here: reading a tarball or judging one (`episodes/`).
"""
