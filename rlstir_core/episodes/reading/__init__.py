"""One tarball, from bytes to typed rows and a verdict: frame, members, JSON, rows. Hostile input ends here.

What does not belong here: which tarballs there are (`store/`) and what is kept between runs (`validation/`).
"""
