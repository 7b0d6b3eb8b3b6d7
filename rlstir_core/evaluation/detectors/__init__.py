"""The evaluation of detectors: predictions joined with labels, every figure, leak probes, what stands around.

What does not belong here: making predictions (`rlstir_core/detectors/`), and showing figures (`report/`).
"""
