"""Skeletons and fingerprints: the same in every process, and telling what is different apart."""

import functools
import json
import subprocess
import sys
from typing import Any

import pytest

from wfengine.callbacks import Definition, clean
from wfengine.definitions import fingerprint, skeleton
from wfengine.description import Description, Part, described
from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns import (
    CHOICE,
    CMP,
    COUNT,
    ENG_SET,
    FOR,
    HALT,
    IF,
    IF_ELSE,
    OBJ_GET,
    PARALLEL_SPLIT,
    RUN_WF,
    SIMPLE_MERGE,
    SYNCHRONIZE,
    TASK_JUMP_FWD,
    TRY,
    WHILE,
)


def task(obj: Any, eng: Any) -> None: ...


def holds(obj: Any, eng: Any) -> bool:
    return True


class Shop:
    def sell(self, obj: Any, eng: Any) -> None: ...

    def __call__(self, obj: Any, eng: Any) -> None: ...


def made(number: Any) -> Any:
    def work(obj: Any, eng: Any) -> Any:
        return number

    return work


def decorated(function: Any) -> Any:
    def around(obj: Any, eng: Any) -> Any:
        return function(obj, eng)

    return around


def wrapped(function: Any) -> Any:
    return functools.wraps(function)(decorated(function))


def label(element: Any) -> str:
    return skeleton([element])[0][1]


def labels(*elements: Any) -> list[str]:
    return [label for position, label in skeleton(list(elements)) if "." not in position]


LABELS = [
    (task, "task"),
    ([task], "[...]"),
    (made(3), "made.work"),
    (Shop().sell, "Shop.sell"),
    (Shop(), "Shop()"),
    (wrapped(task), "task"),
    (decorated(task), "decorated.around(task)"),
    (functools.partial(task), "partial(task)"),
    (IF(holds, task), "IF holds"),
    (IF(CMP(OBJ_GET("price"), 10, ">"), task), "IF OBJ_GET price > 10"),
    (IF(CMP(OBJ_GET("kind"), {"b", "a"}, "in"), task), "IF OBJ_GET kind in {'a', 'b'}"),
    (FOR(range(3), "item", task), "FOR item in range(0, 3)"),
    (FOR(holds, "item", task), "FOR item in holds"),
    (WHILE(holds, task), "WHILE holds"),
    (HALT("identify airport"), "HALT 'identify airport'"),
    (HALT("why", action="approve"), "HALT approve (message='why')"),
    (TRY(task), "TRY"),
    (TRY(task, retry=3), "TRY (retry=3)"),
    (TASK_JUMP_FWD(2), "TASK_JUMP_FWD (step=2)"),
    (COUNT("seen"), "COUNT seen"),
]


@pytest.mark.parametrize(("element", "name"), LABELS, ids=[name for _, name in LABELS])
def test_a_label_is_what_a_person_would_call_it(element, name):
    assert label(element) == name


def test_the_order_is_that_of_reading():
    definition = [task, IF_ELSE(holds, [task, [task]], []), WHILE(holds, task)]
    assert skeleton(definition) == [
        ["0", "task"],
        ["1", "IF_ELSE holds"],
        ["1.0", "then"],
        ["1.0.0", "task"],
        ["1.0.1", "[...]"],
        ["1.0.1.0", "task"],
        ["1.1", "else"],
        ["2", "WHILE holds"],
        ["2.0", "condition"],
        ["2.1", "task"],
    ]


def test_elements_of_a_pattern_are_named_by_their_role_where_it_says_more():
    definition = [
        CHOICE(holds, ("a", task), default=task),
        FOR(range(3), None, [task, [task]]),
        SIMPLE_MERGE(task, [task], task),
        TRY(task, onfailure=task),
    ]
    inner = [label for position, label in skeleton(definition) if position.count(".") == 1]
    assert inner == [
        *("branch 'a'", "branch default"),
        *("next", "task", "body"),
        *("branch: task", "jump", "branch", "jump", "last: task"),
        *("body", "onfailure"),
    ]


def test_it_is_plain_data():
    stored = skeleton([task, IF(holds, [task, made(1), made(2)])])
    assert json.loads(json.dumps(stored)) == stored


@pytest.mark.parametrize(
    "definition", [task, [task], (task,), [None, (task,)], clean([task]), Definition([task])]
)
def test_a_definition_may_be_given_as_it_may_be_run(definition):
    assert skeleton(definition) == [["0", "task"]]


def test_what_cannot_be_run_has_no_skeleton():
    with pytest.raises(WorkflowDefinitionError):
        skeleton([3])
    with pytest.raises(WorkflowDefinitionError):
        skeleton(None)


DIFFERENT = {
    "task": [task],
    "another task": [holds],
    "twice": [task, task],
    "nested": [[task]],
    "empty": [],
    "empty list": [[]],
    "condition": [IF(holds, task)],
    "condition on another": [IF(task, task)],
    "option": [TRY(task, retry=3)],
    "another option": [TRY(task, retry=4)],
    "value": [ENG_SET("key", 1)],
    "another value": [ENG_SET("key", 2)],
    "items": [FOR([1, 2], "item", task)],
    "other items": [FOR([1, 2, 3], "item", task)],
    "reverse": [FOR([1, 2], "item", task, order="DSC")],
    "branch": [RUN_WF(task)],
    "another branch": [RUN_WF([task, task])],
    "branches": [SYNCHRONIZE(task, task, task)],
    "other branches": [SYNCHRONIZE(task, [task, task], task)],
    "branches in branches": [PARALLEL_SPLIT(RUN_WF(task))],
    "other branches in branches": [PARALLEL_SPLIT(RUN_WF([task, task]))],
    "decorated": [decorated(task)],
    "decorated otherwise": [decorated(holds)],
    "made": [made(1), made(2)],
    "made otherwise": [made(1), made(3)],
    "swapped": [made(2), made(1)],
    "lambdas": [lambda obj, eng: obj.a, lambda obj, eng: obj.b],
    "swapped lambdas": [lambda obj, eng: obj.b, lambda obj, eng: obj.a],
    "defaults": [lambda obj, eng, n=1: n, lambda obj, eng, n=2: n],
    "swapped defaults": [lambda obj, eng, n=2: n, lambda obj, eng, n=1: n],
}


def test_different_definitions_have_different_fingerprints():
    found: dict[str, str] = {}
    for name, definition in DIFFERENT.items():
        same = found.setdefault(fingerprint(definition), name)
        assert same == name


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_fingerprint_is_32_hexadecimal_digits(name):
    digits = fingerprint(DIFFERENT[name])
    assert len(digits) == 32
    int(digits, 16)


PROGRAM = """
from wfengine.definitions import fingerprint, skeleton
from wfengine.description import Description, Part, described
from wfengine.patterns import *
def make(name):
    def task(obj, eng): return name
    return task
class Box:
    def __init__(self, name): self.name, self.calls = name, object()
    def __call__(self, obj, eng): ...
odd = described(make("odd"), Description("ODD", parts=(Part("thing", object()),),
                label=str(object()), options={"box": Box("a"), "names": {"x", "y", "z"}}))
words = {"one", "two", "three", "four"}
definition = [
    make("a"), make("b"), Box("a"), Box("b"), odd, lambda obj, eng: obj.x, lambda obj, eng: obj.y,
    IF(CMP(OBJ_GET("x"), words, "in"), [make(words), make("c")]),
    IF(CMP(object(), 1, "=="), []), FOR(words, None, [make("d")]), ENG_SET("k", words),
    SYNCHRONIZE(make("a"), [make("b")], make("c")), CHOICE(make("a"), (Box, make("b"))),
    HALT(make("m"), payload=object()),
]
print(skeleton(definition), fingerprint(definition))
"""


def test_they_are_the_same_in_every_process():
    printed = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(printed) == 1
    assert " at 0x" not in printed.pop()


# Equally named siblings


def test_equally_named_siblings_are_told_apart_by_a_digest_of_what_they_hold():
    assert len({*labels(made(1), made(2), made(3))}) == 3
    assert labels(made(1), made(2)) == labels(made(1), made(2))
    assert labels(made(1), made(1)) == ["made.work", "made.work"]


class Named:
    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = 0

    def __call__(self, obj: Any, eng: Any) -> None:
        self.calls += 1

    def work(self, obj: Any, eng: Any) -> None: ...


def given(obj: Any, eng: Any, number: int = 0, *, word: str = "") -> None: ...


HOLDERS = {
    "object": Named,
    "method": lambda value: Named(value).work,
    "partial": lambda value: functools.partial(given, number=value),
    "default": lambda value: lambda obj, eng, value=value: value,
    "keyword default": lambda value: lambda obj, eng, *, value=value: value,
    "decorated": lambda value: decorated(made(value)),
    "wrapped": lambda value: wrapped(made(value)),
    "text": lambda value: eval(f"lambda obj, eng: obj[{value!r}]"),
    "text further in": lambda value: eval(f"lambda obj, eng: [x[{value!r}] for x in obj]"),
    "condition": lambda value: IF(made(value), task),
    "collection": lambda value: made([{value: (1, {value, "x"})}]),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_whatever_holds_the_data_it_is_looked_at(holder):
    first, second = labels(holder("a"), holder("b"))
    assert first != second
    assert [first, second] == labels(holder("a"), holder("b"))
    assert labels(holder("a"), holder("a")) == [first.partition(" #")[0]] * 2


def test_what_an_object_counts_does_not_tell_it_apart():
    objects = [Named("a"), Named("a")]
    objects[0](None, None)
    assert labels(*objects) == ["Named()", "Named()"]


def test_a_variable_that_is_not_assigned_yet_is_passed_over():
    def work(obj: Any, eng: Any) -> Any:
        return later

    assert labels(work, work)
    later = 1


def test_what_a_task_holds_is_not_shown():
    assert "secret" not in str(skeleton([made("secret"), made("other"), ENG_SET("k", "secret")]))


def test_what_a_task_changes_while_it_runs_does_not_tell_it_apart():
    def counting() -> Any:
        count = 0

        def work(obj: Any, eng: Any) -> None:
            nonlocal count
            count += 1

        return work

    tasks = [counting(), counting()]
    before = skeleton(tasks)
    tasks[0](None, None)
    assert skeleton(tasks) == before


# Odd names


@pytest.mark.parametrize("name", ["<script>", "../x", "'quoted'", "nul\0", "\ud800", "x" * 10**6])
def test_any_name_makes_a_label_that_can_be_stored(name):
    def odd(obj: Any, eng: Any) -> None: ...

    odd.__name__ = name
    found = label(odd)
    assert found.isprintable()
    assert len(found) <= 200
    assert found.encode()


def test_long_names_that_differ_at_their_end_have_different_labels():
    tasks = [functools.partial(task) for _ in range(2)]
    for number, each in enumerate(tasks):
        described(each, Description("LONG", label="x" * 1000 + str(number)))
    assert label(tasks[0]) != label(tasks[1])


def test_the_parts_of_a_users_own_pattern_count():
    def pattern(part: Any) -> Any:
        return described(lambda obj, eng: None, Description("MINE", parts=(Part("each", part),)))

    assert label(pattern(task)) == "MINE (each task)"
    assert label(pattern(clean([task]))) != label(pattern(clean([holds])))


# Size


def test_a_definition_may_be_nested_ten_thousand_deep():
    deep: Any = [task]
    for _ in range(10_000):
        deep = [deep]
    entries = skeleton(deep)
    assert len(entries) == 10_001
    assert entries[-1] == ["10000:0", "task"]
    assert len(fingerprint(deep)) == 32


def test_branches_may_hold_branches_a_thousand_deep_and_share_them():
    branch: Any = task
    for _ in range(1000):
        branch = SYNCHRONIZE(branch, branch, task)
    assert len(skeleton(branch)) == 3


def test_decorators_may_hold_each_other():
    def first(obj: Any, eng: Any) -> Any:
        return second

    def second(obj: Any, eng: Any) -> Any:
        return first

    assert label(first)
    first.__wrapped__ = second  # type: ignore[attr-defined]
    second.__wrapped__ = first  # type: ignore[attr-defined]
    assert label(first)
