"""A simulated host: its processes, users and clock, who acts when, and every event that happens on it.

What does not belong here: what people and attackers do (`life/`), and how events are measured or logged (`sensors/`,
`writers/`).
"""
