"""Small tasks that read, write, call, or do nothing."""

from types import SimpleNamespace
from typing import Any

import pytest

from wfengine import HaltProcessing, WorkflowDefinitionError, WorkflowError
from wfengine.errors import JumpCall
from wfengine.patterns import (
    CALLFUNC,
    CMP,
    EMPTY_CALL,
    ENG_GET,
    ENG_SET,
    ERROR,
    FOR,
    IF,
    OBJ_GET,
    OBJ_SET,
    TRY,
)

from .support import Way, add


class Record:
    """A token with items that is no mapping."""

    def __init__(self, **items: Any) -> None:
        self.items = items

    def __getitem__(self, key: str) -> Any:
        return self.items[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.items[key] = value


KINDS_OF_TOKEN = {"dict": dict, "object": SimpleNamespace}


@pytest.fixture(params=KINDS_OF_TOKEN.values(), ids=KINDS_OF_TOKEN.keys())
def token_of(request: pytest.FixtureRequest) -> Any:
    """Return what makes a token of given names and values."""
    return request.param


def read(run: Way, token: Any, getter: Any) -> Any:
    """Return what a getter returns for a token, found out by a comparison in a definition."""
    seen: list[Any] = []

    def keep(obj: Any, eng: Any) -> Any:
        seen.append(getter(obj, eng))

    run.process(run.engine([keep]), [token])
    return seen[0]


# EMPTY_CALL


def test_empty_call_does_nothing(run: Way) -> None:
    assert run.trace(EMPTY_CALL, [EMPTY_CALL], run.add("after")) == ["after"]
    assert run.extra_data(EMPTY_CALL) == {}


# ENG_GET, ENG_SET


def test_eng_get_reads_a_key_of_extra_data(run: Way) -> None:
    engine = run.engine([IF(CMP(ENG_GET("limit"), 5, "=="), run.add("five"))])
    engine.extra_data["limit"] = 5
    run.process(engine, token := [[]])
    assert token == [["five"]]


@pytest.mark.parametrize(("getter", "expected"), [(ENG_GET("x"), None), (ENG_GET("x", 7), 7)])
def test_eng_get_returns_the_default_for_a_key_that_is_not_there(
    run: Way, getter: Any, expected: Any
) -> None:
    assert read(run, [], getter) == expected


def test_eng_get_does_not_take_the_default_for_what_is_none(run: Way) -> None:
    choice = [ENG_SET("x", None), IF(CMP(ENG_GET("x", 7), None, "is"), run.add("none"))]
    assert run.trace(*choice) == ["none"]


def test_eng_get_as_a_task_of_its_own_moves_nothing(run: Way) -> None:
    assert run.trace(ENG_SET("x", 50), ENG_GET("x"), run.add("after")) == ["after"]


@pytest.mark.parametrize("value", [1, None, "text", [1, 2], {"a": 1}], ids=repr)
def test_eng_set_writes_a_value(run: Way, value: Any) -> None:
    assert run.extra_data(ENG_SET("x", value)) == {"x": value}


def test_eng_set_asks_a_callable_for_each_token(run: Way) -> None:
    engine = run.engine([ENG_SET("last", run.task(lambda obj, eng: (obj, eng.state.token_pos)))])
    run.process(engine, ["a", "b"])
    assert engine.extra_data == {"last": ("b", 1)}


def test_what_eng_set_wrote_is_there_for_the_next_token(run: Way) -> None:
    tokens: list[list[str]] = [[], []]
    seen = IF(ENG_GET("seen"), run.add("second"))
    run.process(run.engine([seen, ENG_SET("seen", True)]), tokens)
    assert tokens == [[], ["second"]]


def test_what_eng_set_wrote_survives_a_halt(run: Way, take_up: Any) -> None:
    definition = [ENG_SET("x", 1), run.halts(), run.add_value("x")]
    engine, token = run.engine(definition), []
    with pytest.raises(HaltProcessing):
        run.process(engine, [token])
    take_up(engine, definition)
    assert token == [1]


# OBJ_GET, OBJ_SET


def test_obj_get_reads_a_key_or_an_attribute(run: Way, token_of: Any) -> None:
    assert read(run, token_of(title="Walden"), OBJ_GET("title")) == "Walden"


def test_obj_get_reads_none_for_what_is_not_there(run: Way, token_of: Any) -> None:
    assert read(run, token_of(title="Walden"), OBJ_GET("author")) is None


@pytest.mark.parametrize(
    ("cond", "names", "expected"),
    [
        ("all", ["a", "b"], [0, None]),
        ("all", ["a", "gone"], None),
        ("all", [], None),
        ("any", ["gone", "a", "b"], [0, None]),
        ("any", ["gone", "lost"], None),
        ("any", [], None),
        ("one", ["gone", "c", "a"], "C"),
        ("one", ["a", "c"], 0),
        ("one", ["gone", "lost"], None),
    ],
)
@pytest.mark.parametrize("collection", [list, tuple])
def test_obj_get_reads_several_names(
    run: Way, token_of: Any, collection: Any, cond: str, names: list[str], expected: Any
) -> None:
    token = token_of(a=0, b=None, c="C")
    assert read(run, token, OBJ_GET(collection(names), cond=cond)) == expected


def test_obj_get_wants_all_of_several_names_by_default(run: Way) -> None:
    assert read(run, {"a": 1}, OBJ_GET(["a", "b"])) is None


@pytest.mark.parametrize("cond", ["some", "", None, ["all"]], ids=repr)
def test_obj_get_refuses_another_cond(cond: Any) -> None:
    with pytest.raises(WorkflowDefinitionError, match="OBJ_GET's cond is 'all', 'any' or 'one'"):
        OBJ_GET(["a"], cond=cond)


def test_obj_set_writes_a_key_or_an_attribute(run: Way, token_of: Any) -> None:
    token = token_of(title="Walden")
    run.process(run.engine([OBJ_SET("title", "Emma"), OBJ_SET("year", 1815)]), [token])
    assert read(run, token, OBJ_GET(["title", "year"])) == ["Emma", 1815]


def test_obj_set_asks_a_callable_for_each_token(run: Way, token_of: Any) -> None:
    tokens = [token_of(), token_of()]
    place = run.task(lambda obj, eng: eng.state.token_pos)
    run.process(run.engine([OBJ_SET("place", place)]), tokens)
    assert [read(run, token, OBJ_GET("place")) for token in tokens] == [0, 1]


@pytest.mark.parametrize(
    ("token", "name"),
    [({}, "x"), (SimpleNamespace(), "x"), (Record(), "x"), (["first", "second"], 1)],
    ids=["dict", "object", "items without a mapping", "list"],
)
def test_obj_get_reads_what_obj_set_wrote(run: Way, token: Any, name: Any) -> None:
    run.process(run.engine([OBJ_SET(name, "written")]), [token])
    assert read(run, token, OBJ_GET(name)) == "written"


def test_obj_set_does_not_know_what_it_cannot_write(run: Way) -> None:
    engine = run.engine([add("before"), OBJ_SET("x", 1)])
    with pytest.raises((TypeError, AttributeError)):
        run.process(engine, [()])


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: ENG_SET("x", lambda obj: 1), "ENG_SET's value cannot be called"),
        (lambda: OBJ_SET("x", lambda: 1), "OBJ_SET's value cannot be called"),
        (lambda: ENG_GET(["x"]), r"ENG_GET's key .*\['x'\]"),
        (lambda: ENG_SET(["x"], 1), r"ENG_SET's key .*\['x'\]"),
    ],
)
def test_what_can_never_be_read_or_written_is_refused(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()


# ERROR


def test_error_raises_a_workflow_error_with_the_message(run: Way) -> None:
    engine = run.engine([EMPTY_CALL, [ERROR("no paper")], add("skipped")])
    with pytest.raises(WorkflowError, match="no paper") as caught:
        run.process(engine, token := [[]])
    assert caught.value.message == "no paper"
    assert engine.state.callback_pos == [1, 0]
    assert token == [[]]


def test_error_has_a_message_of_its_own(run: Way) -> None:
    with pytest.raises(WorkflowError, match="Error in the workflow"):
        run.process(run.engine([ERROR()]), [[]])


def test_each_error_is_an_exception_of_its_own(run: Way) -> None:
    engine = run.engine([ERROR("no paper")])
    caught = []
    for _ in range(2):
        with pytest.raises(WorkflowError) as error:
            run.process(engine, [[]])
        caught.append(error.value)
    assert caught[0] is not caught[1]


def test_error_can_be_passed_over(run: Way) -> None:
    engine, token = run.engine([ERROR(), run.add("after")]), []
    with pytest.raises(WorkflowError):
        run.process(engine, [token])
    run.restart(engine, "current", "next")
    assert token == ["after"]


# CALLFUNC


def called_with(run: Way, token: Any, engine_has: dict[str, Any], **options: Any) -> Any:
    """Return the arguments with which CALLFUNC called a function."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    engine = run.engine([CALLFUNC(function, "result", **options)])
    engine.extra_data.update(engine_has)
    run.process(engine, [token])
    return engine.extra_data["result"]


def test_callfunc_calls_a_function_without_arguments(run: Way) -> None:
    assert called_with(run, [], {}) == ((), {})


def test_args_are_positional_arguments_as_they_are(run: Way) -> None:
    assert called_with(run, [], {}, args=[1, len]) == ((1, len), {})


def test_oeargs_are_positional_arguments_that_are_asked_for(run: Way) -> None:
    asked = [run.task(lambda obj, eng: obj[0]), run.task(lambda obj, eng: eng.extra_data["x"])]
    assert called_with(run, ["o"], {"x": "e"}, args=["a"], oeargs=asked) == (("a", "o", "e"), {})


def test_kwargs_are_named_arguments_as_they_are(run: Way) -> None:
    assert called_with(run, [], {}, width=6, text="x") == ((), {"width": 6, "text": "x"})


def test_ekeys_are_named_arguments_from_the_engine(run: Way) -> None:
    assert called_with(run, [], {"limit": None}, ekeys={"most": "limit"}) == ((), {"most": None})


def test_okeys_are_named_arguments_from_the_token(run: Way, token_of: Any) -> None:
    token = token_of(title="Walden", year=0)
    okeys = {"name": "title", "when": "year"}
    assert called_with(run, token, {}, okeys=okeys) == ((), {"name": "Walden", "when": 0})


def test_all_sources_of_arguments_go_together(run: Way) -> None:
    sources = {"args": [1], "oeargs": [ENG_GET("e")], "ekeys": {"x": "e"}, "okeys": {"y": "o"}}
    result = called_with(run, {"o": "O"}, {"e": "E"}, **sources, z=3)
    assert result == ((1, "E"), {"x": "E", "y": "O", "z": 3})


def test_arguments_do_not_pile_up_from_call_to_call(run: Way) -> None:
    calls: list[Any] = []
    call = CALLFUNC(
        lambda *args, **kwargs: calls.append((args, kwargs)),
        args=iter([1]),
        oeargs=iter([run.task(lambda obj, eng: obj)]),
        okeys={"same": "real"},
    )
    run.process(run.engine([call, call]), [7, 8])
    assert calls == [
        ((1, 7), {"same": 7}),
        ((1, 7), {"same": 7}),
        ((1, 8), {"same": 8}),
        ((1, 8), {"same": 8}),
    ]


def test_a_function_that_changes_its_arguments_changes_no_later_call(run: Way) -> None:
    def function(*args: Any, **kwargs: Any) -> None:
        sizes.append(len(kwargs))
        kwargs["more"] = 1

    sizes: list[int] = []
    run.process(run.engine([CALLFUNC(function, size=1)]), [1, 2])
    assert sizes == [1, 1]


def test_callfunc_keeps_no_result_unless_it_is_told_where(run: Way) -> None:
    assert run.extra_data(CALLFUNC(run.task(lambda: 5))) == {}


def test_callfunc_keeps_the_result_even_if_it_is_none(run: Way) -> None:
    assert run.extra_data(CALLFUNC(run.task(lambda: None), "result")) == {"result": None}


def test_what_the_function_returns_moves_nothing(run: Way) -> None:
    jump = CALLFUNC(run.task(lambda: JumpCall(50)), "jump")
    assert run.trace(jump, CALLFUNC(run.task(lambda: JumpCall(50))), run.add("after")) == ["after"]


def test_callfunc_calls_once_for_each_item_of_a_loop(run: Way) -> None:
    token: list[int] = []
    double = CALLFUNC(run.task(lambda item: token.append(item * 2)), ekeys={"item": "item"})
    run.process(run.engine([FOR([1, 2], "item", double)]), [token])
    assert token == [2, 4]


def label_of(prefix: str, text: str) -> str:
    return prefix + text


@pytest.mark.parametrize(
    ("keys", "token", "words"),
    [
        ({"ekeys": {"text": "gone"}}, {}, ["'text'", "'gone'", "extra_data"]),
        ({"okeys": {"text": "gone"}}, {}, ["'text'", "'gone'", "dict"]),
        ({"okeys": {"text": "gone"}}, SimpleNamespace(), ["'text'", "'gone'", "SimpleNamespace"]),
    ],
    ids=["extra_data", "dict", "object"],
)
def test_an_argument_that_is_not_there_is_told_by_name_and_key(
    run: Way, keys: Any, token: Any, words: list[str]
) -> None:
    engine = run.engine([CALLFUNC(label_of, "x", args=["> "], **keys)])
    with pytest.raises(WorkflowError) as caught:
        run.process(engine, [token])
    for word in ["CALLFUNC", "label_of", *words]:
        assert word in caught.value.message


def test_an_error_of_the_function_reaches_the_caller(run: Way, take_up: Any) -> None:
    answers = [ValueError("broken"), "mended"]

    def function() -> Any:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    definition = [CALLFUNC(run.task(function), "result"), run.add_value("result")]
    engine, token = run.engine(definition), []
    with pytest.raises(ValueError, match="broken"):
        run.process(engine, [token])
    assert engine.extra_data == {}
    take_up(engine, definition)
    assert token == ["mended"]


def test_callfunc_can_be_tried_again(run: Way) -> None:
    fails = run.fails()
    attempt = CALLFUNC(fails, oeargs=[lambda obj, eng: obj] * 2)
    assert run.trace(TRY(attempt), run.add("after")) == ["after"]


@pytest.mark.parametrize(
    ("build", "problem"),
    [
        (lambda: CALLFUNC(5), "CALLFUNC calls a function, not 5"),
        (lambda: CALLFUNC(None), "CALLFUNC calls a function, not None"),
        (lambda: CALLFUNC(len, args=5), "CALLFUNC's args .*5"),
        (lambda: CALLFUNC(len, oeargs=5), "CALLFUNC's oeargs .*5"),
        (lambda: CALLFUNC(len, oeargs=["text"]), "CALLFUNC's oeargs.*'text'"),
        (lambda: CALLFUNC(len, oeargs=[lambda obj: 1]), "CALLFUNC's oeargs.*cannot be called"),
        (lambda: CALLFUNC(len, ekeys=5), "CALLFUNC's ekeys .*5"),
        (lambda: CALLFUNC(len, okeys="text"), "CALLFUNC's okeys .*'text'"),
        (lambda: CALLFUNC(len, outkey=["x"]), r"CALLFUNC's outkey .*\['x'\]"),
    ],
)
def test_callfunc_says_which_part_is_wrong(build: Any, problem: str) -> None:
    with pytest.raises(WorkflowDefinitionError, match=problem):
        build()
