"""The environment: many at once equal one in plain Python, and what may not be seen is not seen."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from soc_world import N_ANSWERS, WIDTH, Listening, drawn_case

from rlstir_core.investigator.lanes import Stepped
from rlstir_core.investigator.queries.catalogue import ACTIONS, LOCKED_Q, PAGE, PLACE, STOP
from rlstir_core.investigator.soc.cases import Case, CaseSet
from rlstir_core.investigator.soc.evidence import Evidence
from rlstir_core.investigator.soc.investigation import Investigation
from rlstir_core.investigator.soc.lanes import STEPS, SocLanes
from rlstir_core.investigator.soc.observation import slices
from rlstir_core.investigator.soc.reward import Rewards, entropies, potential
from rlstir_core.investigator.soc.single import ENVIRONMENT, episode_key

CASES = [drawn_case(seed) for seed in range(6)]
BUDGET = 90.0
PARTS = slices(N_ANSWERS, WIDTH)


def lanes(
    n: int = 4, cases: list[Case] = CASES, budget: float = BUDGET, once: bool = False, **rewards: float
) -> SocLanes:
    return SocLanes(CaseSet(cases), Listening(), Rewards(**rewards), budget, n, once)


def drawn(rng: np.random.Generator, legal_BA: np.ndarray, stops: float = 0.3, illegal: float = 0.0) -> np.ndarray:
    """An action of chance for each lane."""
    wish_BA = rng.random(legal_BA.shape)
    wish_BA[:, STOP] *= stops
    wish_BA[~legal_BA & (rng.random((len(legal_BA), 1)) >= illegal)] = -1
    return wish_BA.argmax(axis=1)


@pytest.mark.parametrize("seed", range(4))
def test_many_at_once_are_equal_to_one_in_plain_python_step_for_step(seed: int) -> None:
    n = 5
    many = lanes(n)
    rng = np.random.default_rng(seed)
    seen, legal = many.reset(seed)
    number = [0] * n
    alone: list[Investigation] = [None] * n  # type: ignore[list-item]

    def begin(lane: int) -> None:
        number[lane] += 1
        case = CASES[many.begun.case_B[lane]]
        key = episode_key(seed, lane, number[lane])
        alone[lane] = Investigation(case, Listening().pool(1, 1), Rewards(), BUDGET, key)

    for lane in range(n):
        begin(lane)
    for _ in range(150):
        for lane, one in enumerate(alone):
            np.testing.assert_array_equal(one.legal(), legal[lane])
            np.testing.assert_allclose(one.observation(), seen[lane], rtol=1e-6, atol=1e-7)
        action = drawn(rng, legal, illegal=0.1)
        seen, legal, reward, done = many.step(action)[:4]
        for lane, one in enumerate(alone):
            earned, over = one.act(int(action[lane]))
            told = many.last
            assert (over, one.target, one.spent) == (done[lane], told.target_B[lane], told.cumulative_B[lane])
            assert one.new == told.row_R[told.lane_R == lane].tolist()
            np.testing.assert_allclose([earned, *one.answers_K], [reward[lane], *told.answers_BK[lane]], rtol=1e-6)
            if over:
                begin(lane)
    assert sum(number) > n + 10


def test_gymnasium_finds_no_fault_and_one_lane_begins_the_same_cases() -> None:
    given = {"cases": CASES, "detector": Listening(), "rewards": Rewards(), "budget": BUDGET}
    env = gymnasium.make(ENVIRONMENT, **given)
    check_env(env.unwrapped)
    one = lanes(1)
    seen, legal = one.reset(11)
    found, info = env.reset(seed=11)
    for _ in range(60):
        np.testing.assert_allclose(found, seen[0], rtol=1e-6, atol=1e-7)
        np.testing.assert_array_equal(info["action_mask"], legal[0])
        action = drawn(np.random.default_rng(int(legal.sum())), legal)
        seen, legal, reward, done = one.step(action)[:4]
        found, earned, over, cut, info = env.step(action[0])
        assert (over, cut) == (done[0], False) and earned == pytest.approx(float(reward[0]), rel=1e-6)
        if over:
            found, info = env.reset()


def played(env: SocLanes, seed: int, n: int = 40) -> Iterator[Stepped]:
    rng = np.random.default_rng(seed)
    _, legal = env.reset(seed)
    for _ in range(n):
        yield (stepped := env.step(drawn(rng, legal)))
        legal = stepped.legal_BA


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not() -> None:
    env = lanes()
    one, again, other = (list(played(env, seed)) for seed in (5, 5, 6))
    for a, b in zip(one, again, strict=True):
        for x, y in zip(a[:4], b[:4], strict=True):
            assert x.tobytes() == y.tobytes()
    assert any(a.seen_BO.tobytes() != b.seen_BO.tobytes() for a, b in zip(one, other, strict=True))


def test_an_interrupted_run_goes_on_bit_for_bit_with_its_state() -> None:
    env, later = lanes(), lanes()
    *_, stopped = played(env, 3, 25)
    state = {name: array.copy() for name, array in env.state().items()}
    later.reset(99)
    later.restore(state)
    legal = stopped.legal_BA
    rng = np.random.default_rng(1)
    for _ in range(25):
        action = drawn(rng, legal)
        a, b = env.step(action), later.step(action)
        for x, y in zip(a[:4], b[:4], strict=True):
            assert x.tobytes() == y.tobytes()
        legal = a.legal_BA


def test_nothing_that_is_seen_or_legal_follows_from_labels_names_or_scores() -> None:
    lied = [
        replace(case, truth_K=1 - case.truth_K, alert_score=-case.alert_score, episode_id=f"x{k}", host="other",
                evidence_M=case.evidence_M[::-1] + 1)
        for k, case in enumerate(CASES)
    ]  # fmt: skip
    for a, b in zip(played(lanes(), 1), played(lanes(cases=lied), 1), strict=True):
        assert a.seen_BO.tobytes() == b.seen_BO.tobytes()
        assert a.legal_BA.tobytes() == b.legal_BA.tobytes() and a.done_B.tobytes() == b.done_B.tobytes()


def test_neither_when_an_episode_was_nor_how_long_it_went_on_is_seen() -> None:
    """The same rows, a year later and followed by many that nobody asks for."""
    longer = []
    for case in CASES:
        more = drawn_case(77, 50)
        at = len(case.ts_N)
        longer.append(
            replace(
                case,
                ts_N=np.r_[case.ts_N, case.ts_N[-1] + more.ts_N] + 31_536_000_000_000_000,
                vector_ND=np.concatenate([case.vector_ND, more.vector_ND]),
                tree_N=np.r_[case.tree_N, more.tree_N],
                mention_N1=np.r_[case.mention_N1, np.full(50, case.mention_N1[-1])].astype(np.int32),
            )
        )
        assert longer[-1].n_rows == at + 50
    for a, b in zip(played(lanes(), 2), played(lanes(cases=longer), 2), strict=True):
        assert a.seen_BO.tobytes() == b.seen_BO.tobytes() and a.legal_BA.tobytes() == b.legal_BA.tobytes()


def test_whether_a_query_has_an_answer_is_not_told_before_it_is_paid_for() -> None:
    """A mask that knew it would say for nothing where the evidence lies."""
    empty = [replace(case, answer_P1=np.zeros_like(case.answer_P1), answer_M=case.answer_M[:0]) for case in CASES]
    (_, legal), (_, as_legal) = lanes(6).reset(0), lanes(6, cases=empty).reset(0)
    np.testing.assert_array_equal(legal, as_legal)


def test_an_action_that_is_not_legal_costs_and_changes_nothing_else() -> None:
    env = lanes(1)
    seen, legal = env.reset(4)
    wrong = np.flatnonzero(~legal[0])[:1]
    assert len(wrong)
    then, _, reward, done = env.step(wrong)[:4]
    assert reward[0] == pytest.approx(-Rewards().price * env.costs_A[wrong[0]]) and not done[0]
    assert not len(env.last.row_R) and not env.last.legal_B[0]
    changed = seen[0] != then[0]
    for name in ("budget", "steps", "open"):
        changed[PARTS[name]] = False
    assert not changed.any()


def test_pages_follow_one_another_from_the_nearest_row_until_nothing_is_left() -> None:
    case = CASES[1]
    query = PLACE["services"]
    pair = case.pair_Q1[query]
    answer = np.sort(np.random.default_rng(0).choice(90, 30, replace=False))
    ptr = case.answer_P1.copy()
    more = len(answer) - (ptr[pair + 1] - ptr[pair])
    changed = np.r_[case.answer_M[: ptr[pair]], answer, case.answer_M[ptr[pair + 1] :]].astype(np.int32)
    ptr[pair + 1 :] += more
    env = lanes(1, cases=[replace(case, answer_P1=ptr, answer_M=changed)])
    _, legal = env.reset(0)
    shown, sizes, focus = [case.alert], [], case.alert
    while legal[0, query]:
        seen, legal, _, _ = env.step(np.array([query]))[:4]
        row = env.last.row_R.tolist()
        far = [abs(int(case.ts_N[each] - case.ts_N[focus])) for each in row]
        if not sizes:
            assert far == sorted(far)
            left_out = set(answer.tolist()) - set(row)
            assert max(far) <= min(abs(int(case.ts_N[each] - case.ts_N[focus])) for each in left_out - {focus})
        sizes.append(round(float(seen[0, PARTS["rows"]][query]) * PAGE))
        shown += row
        focus = row[0]
    assert sizes == [8, 8, 8, 6] and sorted(set(shown)) == sorted({*answer.tolist(), case.alert})
    assert len(shown) == len(set(shown))


def test_logs_of_which_no_row_answers_anything_can_be_asked_and_show_nothing() -> None:
    case = CASES[1]
    nothing = replace(case, answer_P1=np.zeros_like(case.answer_P1), answer_M=case.answer_M[:0])
    env = lanes(1, cases=[nothing])
    _, legal = env.reset(0)
    query = int(np.flatnonzero(legal[0])[0])
    assert query != STOP
    env.step(np.array([query]))
    assert not len(env.last.row_R)


def test_process_queries_read_the_alerts_own_process_until_a_tree_was_asked_for() -> None:
    cases = [case for case in CASES if case.alert_process >= 0]
    env = lanes(8, cases=cases, budget=1000.0)
    _, legal = env.reset(0)
    rng = np.random.default_rng(0)
    locked = np.flatnonzero(LOCKED_Q)
    unlocked = np.zeros(8, np.bool_)
    own, others = 0, 0
    for _ in range(200):
        action = drawn(rng, legal, stops=0.02)
        before = unlocked.copy()
        unlocked |= (action == PLACE["proc_tree_near"]) | (action == PLACE["proc_tree_far"])
        case = env.case_B.copy()
        _, legal, _, done = env.step(action)[:4]
        for lane in np.flatnonzero(np.isin(action, locked)).tolist():
            is_own = env.last.target_B[lane] == cases[case[lane]].alert_process
            assert is_own or before[lane]
            own, others = own + is_own, others + (not is_own)
        unlocked &= ~done
    assert own > 20 and others > 20


def test_equals_among_the_seen_have_their_turn_by_chance() -> None:
    """Two files seen at once and equally rare: each is asked about first in about half of the runs."""
    case = drawn_case(8)
    files = np.arange(case.kind_1[4], case.kind_1[5])
    named = np.r_[0, files[:2]].astype(np.int32)
    ptr = np.r_[0, np.full(90, 3)].cumsum().astype(np.int32)
    case = replace(case, mention_N1=ptr, mention_M=np.tile(named, 90), rarity_E=np.zeros_like(case.rarity_E))
    env = lanes(64, cases=[case])
    env.reset(0)
    env.step(np.full(64, PLACE["file_history"]))
    share = (env.last.target_B == files[0]).mean()
    assert 0.25 < share < 0.75


def test_the_last_step_is_a_declaration_whatever_is_asked() -> None:
    env = lanes(2, cases=[CASES[1]], budget=1e6)
    _, legal = env.reset(0)
    rng = np.random.default_rng(0)
    for step in range(1, STEPS + 1):
        if step == STEPS:
            assert legal[:, STOP].all() and not legal[:, :STOP].any()
        action = drawn(rng, legal, stops=-0.5) if step < STEPS else np.zeros(2, np.int64)
        _, legal, _, done = env.step(action)[:4]
        assert done.all() == env.last.declared_B.all() == (step == STEPS)
    assert (env.last.cost_B == 0).all()


def test_nothing_can_be_asked_that_cannot_be_paid() -> None:
    env = lanes(4, budget=5.0)
    _, legal = env.reset(0)
    assert not legal[:, env.costs_A > 5].any()
    for stepped in played(env, 1, 60):
        assert (env.last.cumulative_B <= 5).all() and stepped.legal_BA[:, STOP].all()


def test_shaping_adds_the_same_to_every_way_through_a_case() -> None:
    """The return with shaping is the one without, less what the first belief was worth."""
    for seed in range(3):
        plain, shaped = lanes(3, shaping=0.0), lanes(3, shaping=0.7)
        for env in (plain, shaped):
            env.reset(seed)
        legal = plain._legal_BA.copy()
        first = potential(entropies(plain.begun.answers_BK))
        rng = np.random.default_rng(seed)
        total = np.zeros((2, 3))
        over = np.zeros(3, np.bool_)
        while not over.all():
            action = drawn(rng, legal, illegal=0.1)
            a, b = plain.step(action), shaped.step(action)
            total += np.where(over, 0, np.stack([a.reward_B, b.reward_B]))
            over |= a.done_B
            legal = a.legal_BA
        np.testing.assert_allclose(total[1], total[0] - 0.7 * first, atol=1e-5)


def test_in_an_evaluation_each_case_is_played_once_and_in_order_and_lanes_without_one_stay_done() -> None:
    env = lanes(4, once=True)
    _, legal = env.reset(0)
    begun = env.begun.case_B[~env.begun.idle_B].tolist()
    declared = []
    for _ in range(300):
        stepped = env.step(drawn(np.random.default_rng(0), legal, stops=0.6))
        legal = stepped.legal_BA
        declared += env.last.case_B[env.last.declared_B].tolist()
        begun += env.begun.case_B[~env.begun.idle_B].tolist()
        idle = env.last.idle_B
        assert stepped.done_B[idle].all() and not stepped.reward_B[idle].any()
        if idle.all():
            break
    assert begun == list(range(6)) and sorted(declared) == list(range(6)) and idle.all()


def test_a_look_ahead_reveals_what_the_step_then_reveals_and_changes_nothing() -> None:
    env = lanes(4)
    _, legal = env.reset(2)
    rng = np.random.default_rng(0)
    for _ in range(30):
        action = drawn(rng, legal)
        before = copy.deepcopy(dict(env.state()))
        lane, row = env.peek(action)
        for name, array in env.state().items():
            np.testing.assert_array_equal(array, before[name])
        legal = env.step(action).legal_BA
        np.testing.assert_array_equal(lane, env.last.lane_R)
        np.testing.assert_array_equal(row, env.last.row_R)


def test_an_oracle_sees_how_many_techniques_each_query_would_show_for_the_first_time() -> None:
    case = replace(CASES[1], evidence_M=np.array([3, 3, 40], np.int32), technique_M=np.array([0, 1, 1], np.int32))
    env = lanes(1, cases=[case])
    _, legal = env.reset(0)
    evidence = Evidence(env)
    rng = np.random.default_rng(0)
    shown: set[int] = {0, 1} if case.alert == 3 else {1} if case.alert == 40 else set()
    for _ in range(25):
        ahead, rows = evidence.new_techniques(legal), evidence.new_rows(legal)
        action = drawn(rng, legal, stops=-0.5)
        if action[0] == STOP:
            break
        _, legal, _, _ = env.step(action)[:4]
        fresh = {0, 1} & ({0, 1} if 3 in env.last.row_R else {1} if 40 in env.last.row_R else set()) - shown
        assert (ahead[0, action[0]], rows[0, action[0]]) == (len(fresh), len(env.last.row_R))
        shown |= fresh
    assert shown == {0, 1}


def test_every_action_that_was_paid_for_stands_in_what_is_told() -> None:
    env = lanes(4)
    _, legal = env.reset(2)
    spent = np.zeros(4)
    for _ in range(30):
        action = drawn(np.random.default_rng(1), legal, illegal=0.2)
        _, legal, _, done = env.step(action)[:4]
        spent += env.last.cost_B
        np.testing.assert_allclose(env.last.cumulative_B, spent)
        assert (env.last.action_B == action).all() and len(ACTIONS) > action.max()
        spent[done] = 0


def test_what_is_foreseen_of_a_query_is_what_it_and_a_declaration_then_earn() -> None:
    many = lanes()
    _, legal_BA = many.reset(3)
    rng = np.random.default_rng(0)
    for _ in range(6):
        action_B = np.where(legal_BA, rng.random(legal_BA.shape), -1)[:, :STOP].argmax(1)
        state, foreseen_B, now_B = many.state(), many.then_declared(action_B), many.if_declared()
        first = many.step(action_B)
        then_B = np.where(first.done_B, 0, many.step(np.full(many.n_lanes, STOP)).reward_B)
        np.testing.assert_allclose(foreseen_B, first.reward_B + then_B, atol=1e-5)
        many.restore(state)
        np.testing.assert_allclose(now_B, many.step(np.full(many.n_lanes, STOP)).reward_B, atol=1e-5)
        many.restore(state)
        legal_BA = many.step(action_B).legal_BA


def test_a_case_is_described_by_what_its_observation_holds_and_an_idle_lane_by_nothing() -> None:
    many = lanes(1, cases=CASES[:1], once=True)
    seen, legal = many.reset(0)
    rng = np.random.default_rng(0)
    times: dict[str, int] = {}
    spent = 0.0
    for _ in range(6):
        said = many.describe(0)
        assert said is not None
        assert said["belief"]["attack"] == pytest.approx(float(seen[0, PARTS["belief"]][0]), abs=1e-4)
        assert said["budget_left"] == pytest.approx(BUDGET - spent, abs=0.01)
        assert said["steps_left"] == STEPS - sum(times.values())
        assert {name: each["times"] for name, each in said["asked"].items()} == times
        action = drawn(rng, legal, stops=0)
        name = ACTIONS[action[0]].name
        seen, legal = many.step(action)[:2]
        times[name] = times.get(name, 0) + 1
        spent += ACTIONS[action[0]].cost
        said = many.describe(0)
        assert said is not None
        assert said["asked"][name]["last_new_rows"] == len(many.last.row_R) <= said["asked"][name]["last_rows"]
    many.step(np.full(1, STOP))
    assert many.describe(0) is None
