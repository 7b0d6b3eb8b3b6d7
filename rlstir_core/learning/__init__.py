"""What all training shares: presets, the loop, devices, standardisation, scores to choose by, checkpoint files.

What does not belong here: any model, and what a model sees (`detectors/`).
"""
