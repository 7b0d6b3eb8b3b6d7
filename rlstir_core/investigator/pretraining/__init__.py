"""How the encoder is trained: what the truth says of parts, the loop, its state, and several devices.

What does not belong here: what is shown (`inputs.py`), and the network (`network/`).
"""
