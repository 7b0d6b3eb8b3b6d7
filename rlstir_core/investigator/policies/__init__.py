"""Who decides what is asked next: baselines of every kind, what they are fitted on, and other people's programs.

What does not belong here: environments, PPO (`ppo.py`), and what policies are worth on test episodes (`evaluation`).
"""
