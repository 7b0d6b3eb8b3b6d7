"""The contract as tables for the documents; `python -m rlstir_core.contract.tables` writes them anew.

What does not belong here: what the tables say (`members.py`, `reasons.py`).
"""

from __future__ import annotations

import re
from pathlib import Path

from rlstir_core.atomic import write_text
from rlstir_core.contract import members
from rlstir_core.contract.members import EpisodeMember, LogMember
from rlstir_core.contract.reasons import ReasonCode

PAGE = Path(__file__).parents[2] / "docs" / "episodes.md"


def members_table() -> str:
    """A row per member of a tarball."""
    rows = [_member_row(member) for member in (*members.FIXED, *members.LOGS)]
    return "\n".join(("| member | holds | required | format | log channels |", "|---|---|---|---|---|", *rows))


def reasons_table() -> str:
    """A row per reason code."""
    rows = [f"| `{code.value}` | {code.meaning} | {code.remedy} |" for code in ReasonCode]
    return "\n".join(("| reason | means | what mends it |", "|---|---|---|", *rows))


def with_tables(page: str) -> str:
    """The page with both tables as they are now, each between its two marks."""
    for name, table in (("members", members_table()), ("reasons", reasons_table())):
        pattern = rf"(?s)(<!-- {name} -->\n).*?(<!-- /{name} -->)"
        page = re.sub(pattern, lambda found, table=table: f"{found[1]}{table}\n{found[2]}", page)  # type: ignore[misc]
    return page


def _member_row(member: EpisodeMember) -> str:
    name, required = f"`{member.name}`", "yes" if member.required else ""
    if not isinstance(member, LogMember):
        return f"| {name} | {member.holds} | {required} | | |"
    channels = ", ".join(f"`{channel}`" for channel in member.channels)
    return f"| {name} | {member.holds} | {required} | `{member.format}` | {channels} |"


if __name__ == "__main__":
    write_text(PAGE, with_tables(PAGE.read_text()))
