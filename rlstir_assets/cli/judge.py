"""`rlstir judge`: what somebody else's agent is worth beside the policies that are judged already.

What does not belong here: judging, and what an agent is told (`rlstir_core/investigator/policies/program.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rlstir_assets.cli.common import READ_HELP, as_text, folder, refusing, work_on, wrapped
from rlstir_assets.console import Console, plain
from rlstir_core.errors import ConfigError
from rlstir_core.remedies import DEFAULT_DATA, command

if TYPE_CHECKING:
    from rlstir_core.evaluation.acting.records import AgentJudged, PolicyFigures
    from rlstir_core.evaluation.stats.intervals import Estimate

_WIDTH = 16


@click.command(short_help="Your own agent beside the policies that investigate.")
@click.argument("agent", metavar="exec:COMMAND")
@click.option("--data", default=None, help=READ_HELP)
@click.option("--recipe", default="host", show_default=True, help="Whose validation and test episodes: host, loho ...")
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON document.")
@refusing
def judge(agent: str, data: str | None, recipe: str, as_json: bool) -> None:
    """Lets an agent investigate the episodes that all policies were judged on, and judges it beside them.

    The agent is a command that reads and writes JSON lines (docs/agents.md). Its thresholds come from validation and
    its intervals from the same resamples as those of the policies. Nothing is kept.

    Example: rlstir judge exec:./my_agent --recipe host
    """
    target = folder(data, "RLSTIR_DATA", DEFAULT_DATA)
    place = work_on(target)
    with Console(quiet=as_json) as console:
        console.say(f"judging {agent}")
        from rlstir_core.datasets.recipes import RECIPES
        from rlstir_core.evaluation.acting.investigation_eval import judge_agent
        from rlstir_core.investigator.policies.program import PREFIX
        from rlstir_core.results.layout import Layout

        if not agent.startswith(PREFIX):
            raise ConfigError(f"{agent} is no agent; write '{PREFIX}COMMAND', in quotes")
        if recipe not in RECIPES:
            raise ConfigError(f"recipe {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
        found = judge_agent(Layout(target), recipe, agent, console.state)
        console.state("")
    if as_json:
        click.echo(as_text(found))
        return
    for line in judged_lines(found):
        click.echo(plain(line))
    click.echo(plain(f"next: {command('judge', agent, '--recipe', recipe, '--json', place=place)} > agent.json"))


def judged_lines(found: AgentJudged) -> Iterator[str]:
    yield from wrapped(
        f"{found.n_test_episodes:,} test episodes of {found.n_test_hosts:,} hosts, queries may cost {found.budget:g} "
        "in each; area under F1 and under coverage against cost, and mean cost",
        0,
    )
    yield _row("the agent", found.agent)
    for name, each in sorted(found.policies.items(), key=lambda one: -(one[1].coverage_cost_auc.value or 0.0)):
        yield _row(name, each)
    against = found.against
    yield from wrapped(
        f"{found.about} minus the agent: F1 area {_signed(against.f1_cost_auc)}, coverage area "
        f"{_signed(against.coverage_cost_auc)}",
        0,
    )


def _row(name: str, each: PolicyFigures) -> str:
    f1, coverage = _said(each.f1_cost_auc, ".3f"), _said(each.coverage_cost_auc, ".3f")
    return f"  {name[:_WIDTH]:<{_WIDTH}}{f1:>21}{coverage:>21}{_said(each.mean_cost, '.1f'):>18}"


def _signed(each: Estimate) -> str:
    return _said(each, "+.3f") + (f" ({each.note})" if each.note else "")


def _said(each: Estimate, form: str) -> str:
    if each.value is None:
        return "not known"
    if each.lo is None or each.hi is None:
        return f"{each.value:{form}}"
    return f"{each.value:{form}} [{each.lo:{form}}, {each.hi:{form}}]"
