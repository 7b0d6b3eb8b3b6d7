"""Learning to act: cases of the train side, the belief about them, and every policy that is fitted or tuned on them.

What does not belong here: the environment (`soc/`), policies (`policies/`, `ppo.py`), and what they are worth on test
episodes (`evaluation/acting/`).
"""
