"""A definition in which every pattern occurs."""

from typing import Any

from wfengine.patterns import (
    BREAK,
    CALLFUNC,
    CHOICE,
    CMP,
    COUNT,
    DEBUG_CYCLE,
    EMPTY_CALL,
    ENG_GET,
    ENG_SET,
    ERROR,
    FOR,
    HALT,
    IF,
    IF_ELSE,
    IF_NOT,
    OBJ_GET,
    OBJ_JUMP_BWD,
    OBJ_JUMP_FWD,
    OBJ_NEXT,
    OBJ_SET,
    PARALLEL_SPLIT,
    PROFILE,
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
from wfengine.patterns.graph import GRAPH, After, Node

__all__ = ["EVERYTHING", "task_named"]


def task_named(name: str) -> Any:
    """Return a task of a name."""

    def task(obj: Any, eng: Any) -> None: ...

    task.__name__ = task.__qualname__ = name
    return task


def mend(obj: Any, eng: Any) -> None: ...


EVERYTHING: list[Any] = [
    task_named("read_order"),
    FOR(
        range(3),
        "item",
        [
            task_named("weigh"),
            IF(task_named("is_heavy"), [task_named("ask_for_help"), BREAK(3)]),
            task_named("pack"),
        ],
    ),
    WHILE(
        CMP(OBJ_GET("open"), 0, ">"),
        [task_named("press"), TASK_JUMP_IF(task_named("sticks"), -1)],
    ),
    IF_ELSE(
        task_named("is_abroad"),
        [task_named("declare"), HALT("Customs want to see it", action="customs")],
        task_named("stamp"),
    ),
    CHOICE(
        ENG_GET("carrier"),
        train=task_named("load_train"),
        ship=[task_named("book_ship"), task_named("load_ship")],
        default=ERROR("unknown carrier"),
    ),
    TRY([task_named("call"), task_named("store")], retry=2, onfailure=[task_named("write")]),
    SYNCHRONIZE(
        [task_named("print_label"), task_named("glue_label")],
        task_named("send_mail"),
        RUN_WF([task_named("bill"), task_named("book")]),
        task_named("archive"),
    ),
    PARALLEL_SPLIT(task_named("log"), [task_named("measure"), COUNT("measured")]),
    SIMPLE_MERGE(task_named("first_way"), [task_named("second_way")], task_named("meet")),
    [
        task_named("nested"),
        [TASK_JUMP_FWD(2), task_named("passed_over"), IF(mend, TASK_JUMP_BWD(-1))],
    ],
    PROFILE([task_named("slow")]),
    DEBUG_CYCLE(mend),
    CALLFUNC(len, "length", oeargs=[OBJ_GET("name")]),
    IF_NOT(task_named("is_paid"), STOP()),
    IF(OBJ_GET("is_old"), OBJ_JUMP_FWD(2)),
    IF(task_named("is_new"), OBJ_JUMP_BWD(1)),
    IF(task_named("is_duplicate"), OBJ_NEXT()),
    EMPTY_CALL,
    ENG_SET("last", "this"),
    OBJ_SET("state", "done"),
    GRAPH(
        Node("take_scales", task_named("take_scales")),
        Node("weigh_parcels", [task_named("lift"), task_named("read")], requires="take_scales"),
        Node("say_so", task_named("say_so"), requires=After("weigh_parcels", "failure")),
    ),
]
