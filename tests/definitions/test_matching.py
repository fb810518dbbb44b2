"""Comparing two versions of a definition, and saying what happened to a position."""

import functools
from typing import Any

import pytest

from wfengine.definitions import Match, compare, skeleton
from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns import CHOICE, FOR, HALT, IF, IF_ELSE, RUN_WF, SIMPLE_MERGE, SYNCHRONIZE


def fetch(obj: Any, eng: Any) -> None: ...


def charge(obj: Any, eng: Any) -> None: ...


def charge_card(obj: Any, eng: Any) -> None: ...


def ship(obj: Any, eng: Any) -> None: ...


def is_expensive(obj: Any, eng: Any) -> bool:
    return True


def is_dear(obj: Any, eng: Any) -> bool:
    return True


def reason(old: Any, new: Any, position: list[int]) -> str:
    match = compare(old, new).position(position)
    assert (match.position, match.how) == (None, "refused")
    return match.reason


def where(old: Any, new: Any, position: list[int], **renamed: str) -> list[int] | None:
    return compare(old, new, renamed).position(position).position


# Same


def test_an_unchanged_definition_keeps_every_position():
    compared = compare([fetch, [charge]], [fetch, [charge]])
    assert compared.is_same
    assert compared.position([1, 0]) == Match([1, 0], "same")
    assert (compared.added, compared.removed, compared.moved) == ([], [], [])
    assert compared.text() == "the definition is the same"


@pytest.mark.parametrize("stored", [skeleton, lambda definition: definition])
def test_each_side_is_a_definition_or_a_stored_skeleton(stored):
    old, new = stored([charge]), stored([fetch, charge])
    assert compare(old, new).position([0]).position == [1]


def test_what_is_found_can_be_changed_without_harm():
    compared = compare([charge], [charge])
    compared.position([0]).position.append(7)
    assert compared.position([0]).position == [0]


@pytest.mark.parametrize("position", [[], [2], [-1], [0, 0], [1, 0, 0], [10**30]])
def test_a_position_that_the_old_definition_does_not_have_is_refused(position):
    said = reason([fetch], [fetch], position)
    assert said == f"the old definition has no position {position}"


@pytest.mark.parametrize("position", [["0"], [None], [True], [0.0], [[]], "0"])
def test_what_is_no_position_is_refused(position):
    assert "is no position: it is a list of whole numbers" in reason([fetch], [fetch], position)


# Moved


def test_a_task_behind_an_inserted_one_is_found_and_what_it_has_missed_is_said():
    match = compare([fetch, ship], [fetch, charge, ship]).position([1])
    assert match == Match([2], "moved", "[1] is [2] now; not run before it: 'charge'")


def test_a_task_in_front_of_an_inserted_one_stays_where_it_is():
    assert compare([fetch, ship], [fetch, charge, ship]).position([0]) == Match([0], "same")


def test_a_task_that_changed_places_says_what_it_has_missed_and_meets_again():
    compared = compare([fetch, charge, ship], [ship, charge, fetch])
    match = compared.position([1])
    assert match.how == "same"
    assert match.reason == "not run before it: 'ship'; run again after it: 'fetch'"
    assert len(compared.moved) == 2


def test_a_replaced_task_in_front_is_said_where_the_position_is_the_same():
    match = compare([fetch, ship], [charge, ship]).position([1])
    assert match == Match([1], "same", "not run before it: 'charge'")


def test_the_end_of_a_list_stays_its_end_while_the_last_task_stays_the_last():
    old = [fetch, [charge, ship]]
    assert where(old, [[charge, ship]], [1, 2]) == [0, 2]
    assert where([fetch, ship], [fetch, charge, ship], [2]) == [3]
    assert where([], [], [0]) == [0]


@pytest.mark.parametrize(
    ("new", "last"), [([fetch, ship, charge], "'charge'"), ([fetch], "'fetch'"), ([], "nothing")]
)
def test_the_end_of_a_list_is_refused_with_another_last_task(new, last):
    said = reason([fetch, ship], new, [2])
    assert said == f"the end of 'the definition' is another: the last was 'ship', it is {last} now"


# Refused


def test_a_task_wrapped_in_a_pattern_is_refused():
    said = reason([fetch, charge], [fetch, IF(is_expensive, charge)], [1])
    assert said == "'charge' is now inside IF is_expensive > then"


def test_a_task_taken_out_of_a_pattern_is_refused():
    said = reason([IF(is_expensive, [fetch, charge])], [fetch, charge], [0, 0, 1])
    assert said == ("'IF is_expensive > then > charge' is no longer inside IF is_expensive > then")


def test_a_task_in_another_branch_is_refused():
    old = IF_ELSE(is_expensive, [charge], [ship])
    new = IF_ELSE(is_expensive, [ship], [charge])
    said = reason(old, new, [0, 0, 0])
    assert said.endswith("> then > charge' is now inside else and no longer inside then")


def test_a_task_whose_branch_is_wrapped_is_refused():
    old, new = IF(is_expensive, charge), FOR(range(3), "item", IF(is_expensive, charge))
    said = reason(old, new, [0, 0, 0])
    assert said == "'IF is_expensive > then > charge' is now inside FOR item in range(0, 3)"


def test_a_task_under_another_name_is_refused_with_what_to_say_if_it_is_the_same():
    said = reason([fetch, charge, ship], [fetch, charge_card, ship], [1])
    assert said == (
        "'charge' is gone; the new definition has 'charge_card' there: "
        "renamed={'charge': 'charge_card'}"
    )


@pytest.mark.parametrize("new", [[fetch, ship], [fetch, charge_card, is_dear, ship], [[fetch]]])
def test_a_name_is_not_suggested_unless_it_is_the_only_one_in_that_place(new):
    assert "renamed" not in reason([fetch, charge, ship], new, [1])


def test_a_task_in_a_list_that_is_gone_is_refused_with_the_name_of_the_list():
    said = reason([IF(is_expensive, charge)], [IF(is_dear, [fetch, ship])], [0, 0, 0])
    assert said == (
        "'IF is_expensive > then > charge': 'IF is_expensive' is gone; the new definition has "
        "'IF is_dear' there: renamed={'IF is_expensive': 'IF is_dear'}"
    )


def test_of_more_or_fewer_tasks_of_one_name_it_is_not_guessed_which_is_which():
    said = reason([charge, fetch, charge], [charge, fetch], [0])
    assert said == (
        "which one is 'charge (1 of 2)' cannot be told: of that name there were 2, there is 1 now"
    )
    assert "there was 1, there are 2 now" in reason([charge], [charge, charge], [0])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([charge, fetch, charge, ship], [fetch, charge, ship, charge]),
        ([charge, fetch, charge, fetch], [fetch, charge, fetch, charge]),
        ([charge, charge, fetch], [charge, fetch, charge]),
        ([charge, fetch, ship, charge], [charge, ship, fetch, charge, is_dear][1:4] + [charge] * 2),
    ],
)
def test_of_several_tasks_of_one_name_that_changed_places_it_is_not_guessed(old, new):
    for position in (index for index, task in enumerate(old) if task is charge):
        assert "cannot be told" in reason(old, new, [position])


def test_several_tasks_of_one_name_are_told_apart_by_their_order_while_it_stays():
    old = [charge, fetch, charge, ship]
    new = [is_dear, charge, fetch, is_expensive, charge, ship]
    assert [where(old, new, [place]) for place in range(4)] == [[1], [2], [4], [5]]


def test_lists_without_a_name_are_told_apart_by_their_order_as_well():
    assert where([[fetch], ship, [charge]], [is_dear, [fetch], ship, [charge]], [2, 0]) == [3, 0]
    said = reason([[fetch], [charge]], [[charge]], [1, 0])
    assert said == "'[...] (2 of 2) > charge' is at '[...] > charge' now"
    assert "cannot be told" in reason([[fetch], [charge]], [[charge]], [1])


def test_a_branch_that_runs_in_an_engine_of_its_own_is_another_pattern_when_it_changes():
    def old(branch: Any) -> Any:
        return [fetch, SYNCHRONIZE(charge, branch, ship)]

    assert where(old(fetch), [is_dear, *old(fetch)], [1, 0]) == [2, 0]
    said = reason(old([fetch]), old([fetch, ship]), [1, 0])
    assert "is gone; the new definition has 'SYNCHRONIZE (" in said
    assert reason([RUN_WF([fetch])], [RUN_WF([ship])], [0])


def test_a_branch_that_became_the_last_one_is_another_task():
    old, new = SIMPLE_MERGE(fetch, charge, ship), SIMPLE_MERGE(fetch, ship, charge)
    assert where(old, new, [0, 0]) == [0, 0]
    assert "'SIMPLE_MERGE > last: ship' is gone" in reason(old, new, [0, 4])


def test_the_branches_of_a_choice_are_known_by_their_keys():
    old = CHOICE(is_dear, ("a", charge), ("b", charge))
    new = CHOICE(is_dear, ("z", charge), ("b", charge), ("a", charge))
    assert where(old, new, [0, 0, 0]) == [0, 2, 0]
    assert where(old, new, [0, 1, 0]) == [0, 1, 0]


def test_factories_of_equally_named_tasks_are_told_apart_by_what_they_were_given():
    def fetch_from(place: str) -> Any:
        def fetch(obj: Any, eng: Any) -> str:
            return place

        return fetch

    old = [fetch_from("here"), fetch_from("there")]
    assert where(old, [fetch_from("nowhere"), *old[::-1]], [0]) == [2]
    assert compare([functools.partial(charge)], [functools.partial(ship)]).added


# Renamed


def test_what_is_said_to_be_renamed_is_found():
    old, new = [fetch, charge], [ship, fetch, charge_card]
    assert where(old, new, [1], charge="charge_card") == [2]
    compared = compare(old, new, {"charge": "charge_card"})
    assert compared.removed == []
    assert "~ charge [1] -> charge_card [2]" in compared.text()


def test_a_list_is_renamed_with_all_that_is_in_it():
    old, new = IF(is_expensive, charge), IF(is_dear, charge)
    renamed = {"IF is_expensive": "IF is_dear"}
    assert compare(old, new, renamed).position([0, 0, 0]).position == [0, 0, 0]


def test_a_task_is_renamed_behind_its_role_too():
    old, new = SYNCHRONIZE(fetch, fetch, charge), SYNCHRONIZE(fetch, fetch, charge_card)
    assert where(old, new, [0, 1], charge="charge_card") == [0, 1]


def test_a_name_that_two_tasks_would_share_is_refused():
    compared = compare([charge, fetch], [charge, fetch], {"fetch": "charge"})
    assert compared.position([0]).how == compared.position([1]).how == "refused"


@pytest.mark.parametrize(
    ("renamed", "said"),
    [
        ({"chrage": "ship"}, "'chrage', which is not in the old definition; did you mean 'charge'"),
        ({"charge": "shop"}, "'shop', which is not in the new definition; did you mean 'ship'?"),
    ],
)
def test_a_misspelt_name_among_the_renamed_is_an_error(renamed, said):
    with pytest.raises(WorkflowDefinitionError, match=said):
        compare([charge], [ship], renamed)


# Text


def test_the_text_shows_both_sides():
    compared = compare([fetch, charge, HALT("why")], [IF(is_dear, charge), HALT("why"), ship])
    assert compared.text().splitlines() == [
        "the definition has changed: 3 added, 1 removed, 1 moved",
        "  - fetch",
        "  + IF is_dear",
        "  + IF is_dear > then",
        "  + ship",
        "  ~ charge [1] -> IF is_dear > then > charge [0, 0, 0]",
    ]


def test_the_text_is_short_whatever_changed():
    def long(prefix: str) -> list[Any]:
        def task(obj: Any, eng: Any) -> None: ...

        tasks = [functools.wraps(task)(lambda obj, eng: None) for _ in range(500)]
        for number, each in enumerate(tasks):
            del each.__wrapped__
            each.__name__ = f"{prefix} {number} " + "x" * 500
        return tasks

    text = compare(long("old"), long("new")).text()
    assert len(text) < 5000
    assert "and 492 more" in text


def test_reasons_are_short_even_in_deep_definitions():
    deep: Any = [charge]
    for _ in range(3000):
        deep = [deep]
    compared = compare(deep, [ship])
    assert len(compared.position([0] * 3001).reason) < 1000
    assert len(compared.text()) < 5000


# Stored skeletons


@pytest.mark.parametrize(
    "damaged",
    [
        [["1", "a"]],
        [["0", "a"], ["0", "b"]],
        [["0", "a"], ["0.0.0", "b"]],
        [["0.0", "a"]],
        [["", "a"]],
        [["x", "a"]],
        [["-1", "a"]],
        [["70:0", "a"]],
        [["0", "a"], ["-5:0", "b"]],
    ],
)
def test_a_damaged_skeleton_is_an_error(damaged):
    with pytest.raises(WorkflowDefinitionError, match="stored skeleton is damaged"):
        compare(damaged, [fetch])


@pytest.mark.parametrize("damaged", [["0"], [["0", 1]], "text", {"0": "a"}, None])
def test_what_is_neither_a_definition_nor_a_skeleton_is_an_error(damaged):
    with pytest.raises(WorkflowDefinitionError):
        compare(damaged, [fetch])
