"""Whatever is done to a definition: a position leads to the same task in the same lists, or none.

Each of these tests looks at every position of the old definition, and reads off the two definitions
themselves what stands there.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from wfengine.definitions import Comparison, compare, skeleton

from .building import (
    Plan,
    built,
    leaf,
    lists_in,
    positions_in,
    seen_at,
    with_list,
)

Plans = tuple[Plan, ...]

NESTED: Plans = (
    leaf("fetch"),
    Plan("list", "", ((leaf("clean"), leaf("check")),)),
    Plan("IF_ELSE", "dear", ((leaf("ask"), leaf("approve")), (leaf("wave through"),))),
    Plan("FOR", "item", ((leaf("weigh"), Plan("IF", "heavy", ((leaf("split"),),)), leaf("pack")),)),
    Plan("WHILE", "waits", ((leaf("poll"), leaf("sleep")),)),
    Plan("TRY", "", ((leaf("send"),), (leaf("apologise"),))),
    Plan("SYNCHRONIZE", "notify", ((leaf("archive"), leaf("log")),)),
    leaf("close"),
)


def insert(plans: Plans, place: int) -> Plans:
    return (*plans[:place], leaf("brand new"), *plans[place:])


def remove(plans: Plans, place: int) -> Plans:
    return (*plans[:place], *plans[place + 1 :])


def rename(plans: Plans, place: int) -> Plans:
    plan = plans[place]
    renamed = Plan(plan.kind, plan.name and "renamed", plan.branches)
    return (*plans[:place], renamed, *plans[place + 1 :])


def duplicate(plans: Plans, place: int) -> Plans:
    return (*plans[:place], plans[place], *plans[place:])


def move_first(plans: Plans, place: int) -> Plans:
    return (plans[place], *remove(plans, place))


def move_last(plans: Plans, place: int) -> Plans:
    return (*remove(plans, place), plans[place])


def wrap(plans: Plans, place: int) -> Plans:
    wrapped = Plan("IF", "asked", ((plans[place],),))
    return (*plans[:place], wrapped, *plans[place + 1 :])


def wrap_in_list(plans: Plans, place: int) -> Plans:
    return (*plans[:place], Plan("list", "", ((plans[place],),)), *plans[place + 1 :])


def wrap_rest(plans: Plans, place: int) -> Plans:
    return (*plans[:place], Plan("WHILE", "asked", (plans[place:],)))


def unwrap(plans: Plans, place: int) -> Plans:
    inner = [plan for branch in plans[place].branches for plan in branch]
    return (*plans[:place], *inner, *plans[place + 1 :])


def replace_kind(plans: Plans, place: int) -> Plans:
    inner = tuple(plan for branch in plans[place].branches for plan in branch)
    return (*plans[:place], Plan("IF", plans[place].name, (inner,)), *plans[place + 1 :])


Edit = Callable[[Plans, int], Plans]
EDITS: list[Edit] = [
    insert,
    remove,
    rename,
    duplicate,
    move_first,
    move_last,
    wrap,
    wrap_in_list,
    wrap_rest,
    unwrap,
    replace_kind,
]

PLACES = [(way, place) for way, plans in lists_in(NESTED) for place in range(len(plans))]


def check_every_position(old: Plans, new: Plans) -> tuple[Comparison, int]:
    """Return the comparison, and how many positions have a place in the new definition."""
    before, after = built(old), built(new)
    compared = compare(skeleton(before), after)
    found = 0
    for position in positions_in(before):
        match = compared.position(position)
        assert (match.how == "refused") == (match.position is None)
        if match.position is None:
            assert match.reason
            continue
        found += 1
        assert seen_at(after, match.position) == seen_at(before, position)
        assert (match.how == "same") == (match.position == position)
    return compared, found


CASES = [
    pytest.param(edit, way, place, id=f"{edit.__name__}-{way}-{place}")
    for edit in EDITS
    for way, place in PLACES
    if dict(lists_in(NESTED))[way][place].branches or edit not in (unwrap, replace_kind)
]


@pytest.mark.parametrize(("edit", "way", "place"), CASES)
def test_an_edit_anywhere_never_shifts_a_position_to_another_task(
    edit: Edit, way: Any, place: int
) -> None:
    plans = dict(lists_in(NESTED))[way]
    changed = with_list(NESTED, way, edit(plans, place))
    compared, _ = check_every_position(NESTED, changed)
    assert compared.is_same == (changed == NESTED)


@pytest.mark.parametrize(("way", "place"), PLACES, ids=str)
def test_every_position_outlives_a_task_inserted_before_another(way: Any, place: int) -> None:
    plans = dict(lists_in(NESTED))[way]
    old = built(NESTED)
    compared, found = check_every_position(NESTED, with_list(NESTED, way, insert(plans, place)))
    assert found == len(list(positions_in(old)))
    assert len(compared.added) == 1
    assert not compared.removed
    assert not compared.moved


@pytest.mark.parametrize(("way", "place"), PLACES, ids=str)
def test_a_removed_task_takes_only_its_own_positions_away(way: Any, place: int) -> None:
    plans = dict(lists_in(NESTED))[way]
    old, changed = built(NESTED), with_list(NESTED, way, remove(plans, place))
    compared, found = check_every_position(NESTED, changed)
    is_last = place == len(plans) - 1
    lost = {tuple(p) for p in positions_in(old)} - {
        tuple(p) for p in positions_in(old) if compared.position(p).position
    }
    assert found + len(lost) == len(list(positions_in(old)))
    own = len(list(positions_in(built((plans[place],))))) - 1
    assert len(lost) == own + is_last
    assert len(compared.removed) == sum(1 for p in lost if old.at(p) is not None)


NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
TASKS = st.builds(leaf, NAMES)


def patterns(inner: Any) -> Any:
    branch = st.lists(inner, max_size=4).map(tuple)
    filled = st.lists(inner, min_size=1, max_size=4).map(tuple)
    one = st.tuples(filled)
    return st.one_of(
        st.builds(Plan, st.just("list"), st.just(""), one),
        st.builds(Plan, st.sampled_from(["IF", "FOR", "WHILE"]), NAMES, one),
        st.builds(Plan, st.just("IF_ELSE"), NAMES, st.tuples(branch, branch)),
        st.builds(Plan, st.just("TRY"), st.just(""), st.tuples(filled, filled)),
        st.builds(Plan, st.just("SYNCHRONIZE"), NAMES, one),
    )


PLANS = st.lists(st.recursive(TASKS, patterns, max_leaves=12), max_size=6).map(tuple)


@st.composite
def edited(draw: Any) -> tuple[Plans, Plans]:
    """Return plans, and the same after a few edits."""
    old = new = draw(PLANS)
    for _ in range(draw(st.integers(0, 4))):
        way, plans = draw(st.sampled_from([*lists_in(new)]))
        edit = draw(st.sampled_from(EDITS))
        place = draw(st.integers(0, len(plans)))
        if place == len(plans) and edit is not insert:
            continue
        if edit in (unwrap, replace_kind) and not plans[place].branches:
            continue
        changed = with_list(new, way, edit(plans, place))
        new = changed if all(plans or not way for way, plans in lists_in(changed)) else new
    return old, new


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(edited())
def test_random_edits_never_shift_a_position_to_another_task(versions: tuple[Plans, Plans]) -> None:
    compared, found = check_every_position(*versions)
    event(f"same: {compared.is_same}, positions found: {min(found, 5)}")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(PLANS, PLANS)
def test_so_it_is_between_any_two_definitions(old: Plans, new: Plans) -> None:
    check_every_position(old, new)


@given(PLANS)
def test_in_the_same_definition_every_position_is_the_same(plans: Plans) -> None:
    compared, found = check_every_position(plans, plans)
    assert compared.is_same
    assert found == len(list(positions_in(built(plans))))
