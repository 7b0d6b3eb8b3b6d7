"""Steps on NVIDIA devices: which one a step has, and how busy it kept it."""
