"""An agent for `--policy 'exec:python docs/example_agent.py'`: the contract of docs/agents.md in thirty lines.

It asks each query once, the cheapest first, and stops as soon as the risk is high or low enough.
"""

import json
import sys

SURE, HARMLESS, ENOUGH = 0.9, 0.1, 3  # the risk that closes a case, after so many queries

asked: dict[int, set[str]] = {}  # by case: several cases can be open at once

for line in sys.stdin:
    question = json.loads(line)
    done = asked.setdefault(question["case"], set())
    legal = [action for action in question["actions"] if action["name"] not in done | {"STOP"}]
    risk = question["risk"]
    if len(done) >= ENOUGH and not HARMLESS < risk < SURE:
        answer = {"declare": {"attack": risk}}  # the agent's own word; {} leaves it to the detector
    elif legal:
        cheapest = min(legal, key=lambda action: action["cost"])
        done.add(cheapest["name"])
        answer = {"action": cheapest["name"]}
    else:
        answer = {"action": "STOP"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
