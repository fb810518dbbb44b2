"""Checks: what is wrong with a definition is said, and what is right is left alone."""

import functools
import itertools
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfengine import GenericWorkflowEngine
from wfengine.callbacks import Definition, Enter, Shape, clean
from wfengine.definitions import Problem, check, find, outline
from wfengine.errors import StopProcessing, WorkflowDefinitionError, WorkflowError
from wfengine.patterns import (
    BREAK,
    CHOICE,
    CMP,
    COUNT,
    EMPTY_CALL,
    ENG_SET,
    ERROR,
    FOR,
    HALT,
    IF,
    IF_ELSE,
    IF_NOT,
    OBJ_GET,
    OBJ_JUMP_BWD,
    OBJ_NEXT,
    PARALLEL_SPLIT,
    RUN_WF,
    SIMPLE_MERGE,
    STOP,
    SYNCHRONIZE,
    TASK_JUMP_BWD,
    TASK_JUMP_FWD,
    TASK_JUMP_IF,
    TRY,
    WHILE,
)
from wfengine.signals import task_started


def pack(obj: Any, eng: Any) -> None: ...


def ship(obj: Any, eng: Any) -> None: ...


def bill(obj: Any, eng: Any) -> None: ...


def is_ready(obj: Any, eng: Any) -> bool:
    return bool(obj)


def always(obj: Any, eng: Any) -> bool:
    return True


def leave(obj: Any, eng: Any) -> None:
    eng.break_current_loop()


def finish(obj: Any, eng: Any) -> None:
    raise StopProcessing


def skip_one(obj: Any, eng: Any) -> None:
    jump(eng)


def jump(eng: Any) -> None:
    eng.jump_call(2)


def found(definition: Any, rule: str = "") -> list[tuple[str, str, str]]:
    """The rule, severity and node of each problem; by default of those with the flow."""
    return [
        (problem.rule, problem.severity, problem.node)
        for problem in check(definition)
        if not rule or problem.rule == rule
    ]


def messages(definition: Any) -> str:
    return "\n".join(problem.message for problem in check(definition))


# What is right


def test_nothing_is_wrong_with_an_ordinary_definition() -> None:
    definition = [
        pack,
        FOR([1, 2], "x", [IF(is_ready, [HALT("look", action="look"), BREAK(3)]), ship]),
        WHILE(CMP(OBJ_GET("n"), 3, "<"), [pack, TASK_JUMP_IF(is_ready, -1)]),
        CHOICE(OBJ_GET("kind"), a=STOP(), b=[ship, OBJ_NEXT()], default=EMPTY_CALL),
        TRY([pack, ERROR("never mind")], onfailure=ship),
        SYNCHRONIZE(pack, [ship, STOP()], bill),
        PARALLEL_SPLIT(pack, ship),
        SIMPLE_MERGE(pack, [ship], bill),
        RUN_WF([pack, ship]),
        bill,
    ]
    assert check(definition) == []
    assert check(clean(definition)) == []


def test_the_flights_are_fine_but_for_a_note() -> None:
    problems = check(find("examples/flights/workflow.py:workflow"))
    assert {(problem.rule, problem.severity) for problem in problems} == {
        ("not-importable", "note")
    }


def test_what_a_halt_is_followed_by_is_reached_when_somebody_resumes() -> None:
    assert check([pack, HALT(), ship]) == []


# What is never reached


@pytest.mark.parametrize(
    "blocker",
    [STOP(), BREAK(), OBJ_NEXT(), OBJ_JUMP_BWD(1), ERROR("no"), IF_ELSE(is_ready, STOP(), ERROR())],
    ids=lambda blocker: getattr(blocker, "__name__", "IF_ELSE"),
)
def test_what_comes_after_the_end_is_never_reached(blocker: Any) -> None:
    definition = [pack, blocker, ship, bill]
    assert found(definition, "unreachable") == [("unreachable", "error", "2")]
    assert "it and 1 after it are never reached" in messages([pack, blocker, ship, bill])


def test_a_jump_passes_over_what_nothing_else_leads_to() -> None:
    assert found([TASK_JUMP_FWD(2), pack, ship]) == [("unreachable", "error", "1")]
    assert found([TASK_JUMP_FWD(3), pack, TASK_JUMP_IF(is_ready, -1), ship]) == [
        ("unreachable", "error", "1")
    ]
    assert found([TASK_JUMP_FWD(2), pack, TASK_JUMP_IF(is_ready, -1), ship]) == []


def test_each_stretch_is_told_once_and_nothing_inside_of_it() -> None:
    definition = [TASK_JUMP_FWD(2), [STOP(), pack], TASK_JUMP_FWD(2), ship, bill]
    assert [node for _, _, node in found(definition, "unreachable")] == ["1", "1.1", "3"]


def test_a_list_that_never_ends_lets_nothing_after_it_be_reached() -> None:
    assert found([[pack, STOP()], ship]) == [("unreachable", "error", "1")]
    assert found([[pack, BREAK()], ship]) == []
    assert found([[pack, [BREAK(2)], bill], ship]) == [("unreachable", "error", "0.2")]
    assert found([[IF(is_ready, BREAK(3)), pack], ship]) == []


def test_a_loop_that_is_only_left_by_the_end_lets_nothing_after_it_be_reached() -> None:
    loop = WHILE(always, [pack, IF(is_ready, STOP())])
    assert found([loop, ship]) == [("unreachable", "error", "1")]
    assert found([WHILE(always, [pack, IF(is_ready, BREAK(3))]), ship]) == []


def test_the_message_says_what_is_in_the_way() -> None:
    (problem,) = check([pack, STOP(), ship])
    assert problem.message == "it is never reached: STOP ends the run before it"
    (problem,) = check([[pack, STOP()], ship])
    assert problem.message == "it is never reached: nothing comes after [...]"


def test_where_a_task_jumps_by_itself_it_is_only_noted() -> None:
    assert found([skip_one, STOP(), ship]) == [("unreachable", "note", "2")]
    assert "unless skip_one jumps there" in messages([skip_one, STOP(), ship])
    assert found([pack, STOP(), ship, skip_one]) == [("unreachable", "error", "2")]


def test_a_pattern_of_a_users_own_may_begin_anywhere_or_pass_by() -> None:
    own = Definition([STOP(), pack], lead=lambda obj, eng: Enter(1))
    assert found([own, ship], "unreachable") == []
    choice = Definition([clean([STOP()])], lead=lambda obj, eng: None, shape=Shape.CHOICE)
    assert found([choice, ship], "unreachable") == []


# Loops without a way out


@pytest.mark.parametrize(
    "loop",
    [
        WHILE(CMP(1, 2, "<"), COUNT("turns")),
        WHILE(always, [COUNT("turns")]),
        WHILE(lambda obj, eng: 1, ENG_SET("x", 1)),
        WHILE(always, []),
        FOR(itertools.count(), "x", COUNT("turns")),
        FOR(itertools.cycle("ab"), "x", COUNT("turns")),
        FOR(itertools.repeat(1), "x", COUNT("turns")),
    ],
    ids=["CMP", "function", "lambda", "empty", "count", "cycle", "repeat"],
)
def test_a_loop_that_nothing_ends_is_an_error(loop: Any) -> None:
    assert found([pack, loop, ship], "no-way-out") == [("no-way-out", "error", "1")]
    assert found([pack, loop, ship], "unreachable") == []


def test_an_end_that_is_never_reached_is_no_way_out() -> None:
    loop = WHILE(always, [[COUNT("a"), BREAK(), STOP()]])
    assert found([loop]) == [("no-way-out", "error", "0"), ("unreachable", "error", "0.1.2")]


def test_where_a_task_could_raise_it_is_a_warning() -> None:
    assert found([WHILE(always, pack)]) == [("no-way-out", "warning", "0")]
    assert "no way out but an exception" in messages([WHILE(always, pack)])


@pytest.mark.parametrize(
    "body",
    [
        [pack, BREAK()],
        [HALT()],
        [IF(is_ready, STOP())],
        [IF(is_ready, BREAK(3))],
        [[[BREAK(3)]]],
        [TASK_JUMP_IF(is_ready, 9)],
        [leave],
        [IF(is_ready, finish)],
        [functools.partial(leave)],
        [skip_one],
        [RUN_WF(HALT())],
    ],
)
def test_a_loop_that_something_leaves_is_fine(body: Any) -> None:
    assert found([WHILE(always, body)], "no-way-out") == []


@pytest.mark.parametrize("source", [itertools.repeat(1, 3), [1], range(10**9), iter([1])])
def test_a_loop_over_what_ends_is_fine(source: Any) -> None:
    assert check([FOR(source, "x", pack)]) == []


def test_a_jump_back_without_a_way_past_it_is_a_loop_too() -> None:
    assert found([COUNT("a"), TASK_JUMP_BWD(-1)]) == [("no-way-out", "error", "1")]
    assert found([pack, TASK_JUMP_BWD(-1)]) == [("no-way-out", "warning", "1")]
    assert found([pack, IF(is_ready, STOP()), TASK_JUMP_BWD(-2)]) == []
    assert found([TASK_JUMP_IF(is_ready, 2), TASK_JUMP_BWD(-1), pack]) == []
    assert found([TASK_JUMP_FWD(0)]) == [("no-way-out", "error", "0")]


def test_what_a_condition_always_answers_tells_where_the_way_goes() -> None:
    constant = ("constant-condition", "warning")
    back = [COUNT("a"), TASK_JUMP_IF(always, -1)]
    assert found(back) == [("no-way-out", "error", "1"), (*constant, "1")]
    assert found([IF(always, STOP()), pack]) == [(*constant, "0"), ("unreachable", "error", "1")]
    assert found([IF_NOT(CMP(1, 2, "=="), STOP()), pack], "unreachable") == [
        ("unreachable", "error", "1")
    ]
    past = [TASK_JUMP_IF(always, 2), pack, ship]
    assert found(past) == [(*constant, "0"), ("unreachable", "error", "1")]
    for definition in (
        [IF_NOT(always, STOP()), pack],
        [IF(always, pack), ship],
        [COUNT("a"), TASK_JUMP_IF(CMP(1, 2, "=="), -1)],
    ):
        assert {rule for rule, *_ in found(definition)} == {"constant-condition"}


def test_tokens_of_which_each_goes_back_are_a_loop_too() -> None:
    back = OBJ_JUMP_BWD(1)
    assert found([back]) == [("no-way-out", "error", "0")]
    assert found([COUNT("a"), [back]]) == []  # only what is certain is told
    assert found([pack, back]) == [("no-way-out", "warning", "1")]
    assert "each token goes back to one before it" in messages([pack, back])
    assert found([IF(is_ready, back), pack]) == []
    assert found([IF(is_ready, STOP()), back]) == []
    assert found([finish, back]) == []
    assert found([OBJ_NEXT(), back], "no-way-out") == []


def test_a_jump_in_a_branch_of_its_own_goes_round_in_that_branch() -> None:
    definition = [pack, IF(is_ready, TASK_JUMP_BWD(-1))]
    assert found(definition) == [("no-way-out", "error", "1.0.0"), ("jump", "warning", "1.0.0")]
    assert "a branch that is a single task is a list of its own" in messages(definition)


# Jumps out of their list


@pytest.mark.parametrize(
    ("definition", "node", "goes"),
    [
        ([pack, TASK_JUMP_IF(is_ready, 2), ship], "1", "past the end"),
        ([pack, TASK_JUMP_IF(is_ready, -2), ship], "1", "before the first"),
        ([[pack, TASK_JUMP_FWD(1)], ship], "0.1", "past the end"),
        ([WHILE(is_ready, [pack, TASK_JUMP_IF(is_ready, 1)])], "0.2", "past the end"),
        ([pack, BREAK(2)], "1", "leaves 2 lists, and is inside of 1"),
        ([PARALLEL_SPLIT([pack, BREAK(2)])], "0/0:1", "leaves 2 lists, and is inside of 1"),
    ],
)
def test_jumps_that_leave_their_list_are_told(definition: Any, node: str, goes: str) -> None:
    assert found(definition) == [("jump", "warning", node)]
    assert goes in messages(definition)


def test_jumps_that_stay_are_not() -> None:
    assert check([pack, TASK_JUMP_IF(is_ready, 1), TASK_JUMP_IF(is_ready, -2), ship]) == []
    assert check([WHILE(is_ready, [TASK_JUMP_IF(is_ready, -1), [BREAK(3)]])]) == []


# Conditions that say nothing


@pytest.mark.parametrize("condition", [CMP(1, 1, "=="), CMP("a", ["b"], "in"), always])
def test_conditions_that_always_answer_the_same_are_told(condition: Any) -> None:
    assert found([IF(condition, pack)]) == [("constant-condition", "warning", "0")]
    assert found([TASK_JUMP_IF(condition, 1), pack]) == [("constant-condition", "warning", "0")]


def test_a_while_that_never_begins_is_told() -> None:
    assert found([WHILE(CMP(1, 2, ">"), pack)]) == [("constant-condition", "warning", "0")]


@pytest.mark.parametrize("condition", [CMP(is_ready, 1, "=="), CMP(1, "a", "<"), EMPTY_CALL])
def test_conditions_that_depend_on_something_are_not(condition: Any) -> None:
    assert check([IF(condition, pack)]) == []


# Signatures


class NoTask:
    """Something that must not be asked for its name, or be called."""

    def __repr__(self) -> str:
        raise AssertionError("asked")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None  # type: ignore[assignment]


def one(obj: Any) -> None: ...


async def coroutine(obj: Any, eng: Any) -> None: ...


def test_every_misfit_is_told_with_its_place() -> None:
    definition = [pack, one, [ship, ("text", [int])], NoTask(), None, coroutine(1, 2), [one]]
    with pytest.raises(WorkflowDefinitionError):
        clean([pack, one])
    assert found(definition, "signature") == [
        ("signature", "error", node) for node in ("1", "2.1", "2.2.0", "3", "4", "5.0")
    ]
    first, text, kind, other, awaited, _ = (p for p in check(definition) if p.rule == "signature")
    assert first.path == "one"
    assert (
        first.message == "cannot be called as task(obj, eng): its signature is (obj: Any) -> None"
    )
    assert text.message == "'text' (str) is no task"
    assert (kind.message, kind.advice) == ("the class int is no task", "give an instance of it")
    assert other.message == "an object of type NoTask is no task"
    assert "without calling it" in awaited.advice
    lines = {problem.node: problem.source and problem.source.line for problem in check(definition)}
    assert lines["1"] == lines["5.0"] == one.__code__.co_firstlineno
    assert first.source is not None
    assert first.source.file == __file__
    assert [problem.source for problem in (text, kind, other)] == [None] * 3


def test_a_list_that_contains_itself_is_told() -> None:
    endless: list[Any] = [pack]
    endless.append([ship, endless])
    assert found(endless, "signature") == [("signature", "error", "1.1")]
    twice = [bill]
    assert check([pack, twice, ship, twice]) == []


@pytest.mark.parametrize("definition", [None, "text", 3, NoTask()])
def test_what_is_no_definition_at_all_is_refused(definition: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="a definition is a list of tasks"):
        check(definition)


def test_one_task_is_a_definition_too() -> None:
    assert check(pack) == []
    assert found(one) == [("signature", "error", "0")]


# Nothing in it


def test_what_has_no_task_in_it_is_told() -> None:
    for definition in ([], [[], [[]]], ()):
        assert found(definition) == [("empty", "error", "")]
    assert found([pack, []]) == [("empty", "warning", "1")]
    assert found([IF_ELSE(is_ready, [], ship)]) == [("empty", "warning", "0.0")]
    assert found([WHILE(is_ready, [])]) == [("empty", "warning", "0")]
    assert found([RUN_WF([])]) == [("empty", "warning", "0/0:")]
    chosen = CHOICE(is_ready, van=[], cart=pack)
    assert "there is no task in the branch van" in messages([chosen])
    assert "there is no task in the else branch" in messages([IF_ELSE(is_ready, pack, [])])
    assert check([IF_ELSE(is_ready, EMPTY_CALL, ship)]) == []


# Names


def test_equal_names_in_one_list_are_told_once() -> None:
    definition = [pack, ship, pack, pack, pack]
    assert found(definition) == [("duplicate-name", "warning", "2")]
    assert "4 elements of its list are 'pack', at 0, 2, 3, ..." in messages(definition)
    assert check([pack, [pack], IF(is_ready, pack)]) == []


def test_tasks_that_hold_different_data_can_be_told_apart() -> None:
    assert found([COUNT("a"), COUNT("b"), ENG_SET("x", 1), ENG_SET("x", 2)]) == []
    assert found([COUNT("a"), COUNT("a")]) == [("duplicate-name", "warning", "1")]


# Tasks that cannot be imported


def kept(value: Any) -> Any:
    def task(obj: Any, eng: Any) -> Any:
        return value

    return task


def with_lock(obj: Any, eng: Any, lock: Any) -> None: ...


def replaced(obj: Any, eng: Any) -> None: ...


old = replaced


def replaced(obj: Any, eng: Any) -> None: ...  # type: ignore[no-redef]


def unnamed(task: Any) -> Any:
    def around(obj: Any, eng: Any) -> Any:
        return task(obj, eng)

    return around


def decorated(task: Any) -> Any:
    return functools.wraps(task)(unnamed(task))


class Printer:
    def __call__(self, obj: Any, eng: Any) -> None: ...

    def show(self, obj: Any, eng: Any) -> None: ...

    @classmethod
    def all(cls, obj: Any, eng: Any) -> None: ...

    @staticmethod
    def one(obj: Any, eng: Any) -> None: ...


def local_printer() -> Any:
    class Local:
        def __call__(self, obj: Any, eng: Any) -> None: ...

    return Local()


@pytest.mark.parametrize(
    ("task", "severity", "said"),
    [
        (lambda obj, eng: None, "warning", "a lambda has no name"),
        (kept({"a": [1, None]}), "note", "inside of another function"),
        (kept(pack), "note", "inside of another function"),
        (unnamed(pack), "note", "inside of another function"),
        (kept(threading.Lock()), "warning", "closes over value, which is no plain data"),
        (functools.partial(with_lock, lock=threading.Lock()), "warning", "it is given lock"),
        (old, "warning", "is something else by now"),
        (local_printer(), "warning", "its class Local is defined inside of a function"),
        (local_printer().__call__, "warning", "its class Local is defined inside of a function"),
    ],
)
def test_tasks_that_no_other_process_can_import_are_told(
    task: Any, severity: str, said: str
) -> None:
    (problem,) = check([task])
    assert (problem.rule, problem.severity) == ("not-importable", severity)
    assert said in problem.message


@pytest.mark.parametrize(
    "task",
    [
        pack,
        functools.partial(with_lock, lock=None),
        functools.partial(pack),
        Printer(),
        Printer().show,
        Printer.all,
        Printer.one,
        print,
        decorated(pack),
    ],
)
def test_tasks_that_another_process_can_import_are_not(task: Any) -> None:
    assert check([task]) == []


def test_the_same_task_is_told_once() -> None:
    task = kept(1)
    assert found([[task], [task], [kept(2)]]) == [("not-importable", "note", "0.0")]


def test_conditions_are_tasks_too() -> None:
    assert found([IF(lambda obj, eng: obj, pack)]) == [("not-importable", "warning", "0")]


def test_tasks_of_a_script_are_told(tmp_path: Any) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from wfengine.definitions import check\n"
        "def task(obj, eng): ...\n"
        "class Tasks:\n"
        "    def task(self, obj, eng): ...\n"
        "for problem in check([task, Tasks().task]): print(problem)\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("warning: task at 0: it is defined in the script that was started")
    assert second.startswith("warning: Tasks.task at 1: its class Tasks is defined in the script")


# What problems say


def test_a_problem_says_where_it_is_and_what_to_do() -> None:
    (problem,) = check([pack, STOP(), ship])
    assert problem == Problem(
        rule="unreachable",
        severity="error",
        node="2",
        path="ship",
        source=outline([ship]).children[0].source,
        message="it is never reached: STOP ends the run before it",
        advice="remove it, or make what comes before it conditional, with IF or TASK_JUMP_IF",
    )
    assert problem.as_data()["source"] == f"{__file__}:{ship.__code__.co_firstlineno}"
    assert str(problem).startswith("error: ship at 2: it is never reached: ")


def test_problems_come_in_the_order_of_the_outline() -> None:
    definition = [one, [], [pack, pack], STOP(), ship, WHILE(always, one and bill)]
    tree = [node.id for node in outline([pack, [], [pack, pack], STOP(), ship, ship]).walk()]
    nodes = [problem.node for problem in check(definition)]
    assert nodes == sorted(nodes, key=tree.index)


def test_deep_and_wide_definitions_are_checked() -> None:
    deep: Any = [pack]
    for _ in range(1000):
        deep = [WHILE(always, deep), BREAK(), ship]
    assert Counter(problem.rule for problem in check(deep))["unreachable"] == 1000
    raw: Any = [one]
    for _ in range(1000):
        raw = [raw]
    assert len(check(raw)) == 1
    assert len(check([STOP(), *[pack, ship] * 5000])) == 3


# The rules as a whole

STEPS = st.deferred(
    lambda: st.one_of(
        st.sampled_from([pack, STOP(), BREAK(), ERROR("x"), OBJ_NEXT()]),
        st.builds(TASK_JUMP_FWD, st.integers(1, 3)),
        st.builds(lambda steps: IF(is_ready, steps), LISTS),
        st.builds(lambda one, two: IF_ELSE(is_ready, one, two), LISTS, LISTS),
        st.builds(lambda steps: FOR([1, 2], None, steps), LISTS),
        LISTS,
    )
)
LISTS: st.SearchStrategy[list[Any]] = st.lists(STEPS, max_size=4)


@given(LISTS, st.lists(st.booleans(), min_size=1, max_size=8))
def test_what_is_called_unreachable_is_never_run(steps: list[Any], answers: list[bool]) -> None:
    definition = clean(steps)
    lost = {problem.node for problem in check(definition) if problem.rule == "unreachable"}
    for token in answers:
        for position in visited(definition, token):
            assert ".".join(map(str, position)) not in lost


def visited(definition: Any, token: bool) -> list[list[int]]:
    """Run a definition for a token; return the positions that it came to."""
    seen: list[list[int]] = []

    def note(eng: Any, **context: Any) -> None:
        seen.append(list(eng.state.callback_pos))

    engine = GenericWorkflowEngine()
    engine.callbacks.replace(definition)
    with task_started.connected_to(note, sender=engine), suppress(WorkflowError):
        engine.process([token])
    return seen


def test_positions_that_were_visited_are_known_to_the_test_above() -> None:
    definition = clean([pack, [IF(is_ready, [ship, BREAK(3), bill])], STOP()])
    assert visited(definition, True) == [[0], [1, 0], [1, 0, 0, 0], [1, 0, 0, 1], [2]]
