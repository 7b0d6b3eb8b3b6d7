"""Benchmarks of the detectors on public recordings."""
