"""Definitions: cleaned, checked before anything runs, kept by key, and read-only."""

import copy
import pickle
from functools import partial, wraps

import pytest

from wfengine.callbacks import Callbacks, Definition, clean, task_name
from wfengine.engine import GenericWorkflowEngine
from wfengine.errors import WorkflowDefinitionError
from wfengine.patterns import WHILE


def a(obj, eng): ...


def b(obj, eng): ...


def c(obj, eng): ...


@pytest.fixture
def callbacks():
    return Callbacks()


# Cleaning


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ([a, b], [a, b]),
        ((a, b), [a, b]),
        ([a, (b, c)], [a, b, c]),
        ([a, (b, (c, a)), b], [a, b, c, a, b]),
        ([a, [b, (c, None)], None], [a, [b, c]]),
        (([a], [b]), [[a], [b]]),
        ([(a, [b, (c,)])], [a, [b, c]]),
        ([[], ()], [[]]),
        ([None], []),
        ([], []),
    ],
)
def test_lists_nest_tuples_are_flattened_and_none_is_dropped(written, kept):
    assert Callbacks.cleanup_callables(written) == kept


def test_any_iterable_of_tasks_will_do():
    assert Callbacks.cleanup_callables(task for task in (a, b)) == [a, b]


def test_what_is_clean_stays_itself():
    definition = Callbacks.cleanup_callables([a, [b]])
    assert Callbacks.cleanup_callables(definition) is definition
    assert Callbacks.cleanup_callables([definition])[0] is definition


def test_the_list_that_was_given_is_not_touched():
    written = [a, (b, None), [c]]
    Callbacks.cleanup_callables(written)
    assert written == [a, (b, None), [c]]


# Keeping


def test_there_is_nothing_at_first(callbacks):
    assert callbacks.empty()
    assert callbacks.get(None) == {}


def test_add_puts_one_task_at_the_end(callbacks):
    callbacks.add(a)
    callbacks.add(b)
    assert callbacks.get() == [a, b]


def test_add_puts_a_list_at_the_end_as_one_element(callbacks):
    callbacks.add(a)
    callbacks.add([b, c])
    assert callbacks.get() == [a, [b, c]]


def test_add_many_puts_each_task_at_the_end(callbacks):
    callbacks.add(a)
    callbacks.add_many([b, [c]])
    callbacks.add_many((c,))
    assert callbacks.get() == [a, b, [c], c]


def test_replace_puts_a_definition_in_place_of_another(callbacks):
    callbacks.add(a)
    callbacks.replace([b, c])
    assert callbacks.get() == [b, c]


def test_definitions_are_kept_apart_by_key(callbacks):
    callbacks.add(a, "one")
    callbacks.add_many([b, c], "two")
    callbacks.replace([c], key="three")
    assert callbacks.get("one") == [a]
    assert callbacks.get(None) == {"one": [a], "two": [b, c], "three": [c]}


def test_the_dictionary_of_all_definitions_is_a_copy(callbacks):
    callbacks.add(a)
    callbacks.get(None).clear()
    assert callbacks.get() == [a]


def test_clear_removes_one_definition(callbacks):
    callbacks.add(a)
    callbacks.add(b, "other")
    callbacks.clear("other")
    assert callbacks.get(None) == {"*": [a]}
    callbacks.clear()
    assert callbacks.empty()


def test_clearing_the_star_twice_is_no_error(callbacks):
    callbacks.clear()
    callbacks.clear("*")
    assert callbacks.empty()


def test_clear_all_removes_every_definition(callbacks):
    callbacks.add(a)
    callbacks.add(b, "other")
    callbacks.clear_all()
    assert callbacks.get(None) == {}
    assert callbacks.empty()


@pytest.mark.parametrize("definition", [[], [None], [[]], [[[], []]]])
def test_a_definition_without_a_task_is_empty(callbacks, definition):
    callbacks.replace(definition)
    assert callbacks.empty()


def test_one_task_however_deep_is_enough_not_to_be_empty(callbacks):
    callbacks.replace([[], [[a]]])
    assert not callbacks.empty()


@pytest.mark.parametrize("look_up", [Callbacks.get, Callbacks.clear])
def test_a_missing_key_is_named_and_so_are_those_that_exist(callbacks, look_up):
    callbacks.add(a, "book")
    callbacks.add(a, "article")
    with pytest.raises(KeyError) as caught:
        look_up(callbacks, "thesis")
    assert str(caught.value) == "no callbacks under 'thesis'; there are: 'book', 'article'"


def test_a_missing_key_among_none_says_so(callbacks):
    with pytest.raises(KeyError) as caught:
        callbacks.get()
    assert str(caught.value) == "no callbacks under '*'; there are: none"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_task_added_after_a_loop_follows_it():
    turns = []
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(
        WHILE(lambda obj, eng: len(turns) < 2, lambda obj, eng: turns.append("turn"))
    )
    eng.callbacks.add(lambda obj, eng: turns.append("after"))
    eng.process(["x"])
    assert turns == ["turn", "turn", "after"]


def test_a_loop_may_be_the_whole_definition():
    turns = []
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(
        WHILE(lambda obj, eng: len(turns) < 2, lambda obj, eng: turns.append("turn"))
    )
    eng.process(["x"])
    assert turns == ["turn", "turn"]


# Refusing, before anything runs


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ([a, 7], r"7 \(int\) at \[1\] is no task"),
        ([a, [b, "c"]], r"'c' \(str\) at \[1, 1\] is no task"),
        ([a, (b, 3.5)], r"3.5 \(float\) at \[1, 1\] is no task"),
        ([[[{}]]], r"\{\} \(dict\) at \[0, 0, 0\] is no task"),
        ([["x" * 100]], r"'x+\.\.\. \(str\) at \[0, 0\] is no task"),
    ],
)
def test_what_is_no_task_is_refused_with_its_path(callbacks, written, message):
    with pytest.raises(WorkflowDefinitionError, match=message) as caught:
        callbacks.replace(written)
    assert "task(obj, eng)" in caught.value.message


def test_a_class_is_refused_because_its_instance_was_meant(callbacks):
    class Task:
        def __call__(self, obj, eng): ...

    with pytest.raises(WorkflowDefinitionError, match=r"the class Task at \[0\].*give an instance"):
        callbacks.add(Task)
    callbacks.add(Task())


def test_a_coroutine_is_refused_because_its_function_was_meant(callbacks):
    async def task(obj, eng): ...

    with pytest.raises(WorkflowDefinitionError, match=r"at \[0\].*without calling it"):
        callbacks.add(task(None, None))
    callbacks.add(task)


@pytest.mark.parametrize("written", ["tasks", b"tasks", a, 7, None])
@pytest.mark.parametrize("method", [Callbacks.add_many, Callbacks.replace])
def test_what_is_no_list_of_tasks_is_refused(callbacks, method, written):
    with pytest.raises(WorkflowDefinitionError, match="a definition is a list of tasks, not"):
        method(callbacks, written)


@pytest.mark.parametrize("method", [Callbacks.add_many, Callbacks.replace])
def test_after_a_refusal_everything_is_as_it_was(callbacks, method):
    callbacks.replace([a])
    with pytest.raises(WorkflowDefinitionError):
        method(callbacks, [b, 7])
    assert callbacks.get() == [a]


def test_a_list_that_contains_itself_is_refused():
    outer = [a]
    inner = [outer]
    outer.append(inner)
    with pytest.raises(WorkflowDefinitionError, match=r"the list at \[1, 0\] contains itself"):
        clean(outer)


def test_a_long_circle_is_found_too():
    innermost = [a]
    definition = innermost
    for _ in range(300):
        definition = [definition]
    innermost.append(definition)
    with pytest.raises(WorkflowDefinitionError, match=r"the list at \[\.\.\., 0.* contains itself"):
        clean(definition)


def test_of_a_very_long_path_the_end_is_shown():
    definition = [7]
    for _ in range(100):
        definition = [a, definition]
    with pytest.raises(WorkflowDefinitionError, match=r"at \[\.\.\., (1, ){19}0\] is no task"):
        clean(definition)


def test_the_same_list_twice_is_no_circle():
    inner = [a]
    assert clean([inner, [inner]]) == [[a], [[a]]]


# What can be called as task(obj, eng)


class Methods:
    def plain(self, obj, eng): ...

    @classmethod
    def of_class(cls, obj, eng): ...

    @staticmethod
    def static(obj, eng): ...

    def __call__(self, obj, eng, verbose=False): ...


def takes_number(number): ...


@wraps(takes_number)
def wrapper(obj, eng): ...


@pytest.mark.parametrize(
    "task",
    [
        Methods().plain,
        Methods.of_class,
        Methods.static,
        Methods(),
        partial(lambda number, obj, eng: None, 1),
        lambda *args: None,
        lambda obj, eng, **options: None,
        lambda token, engine, n=1: None,
        wrapper,
        max,  # its signature is not known
        isinstance,
    ],
)
def test_whatever_takes_a_token_and_an_engine_is_a_task(callbacks, task):
    callbacks.add(task)
    assert callbacks.get() == [task]


@pytest.mark.parametrize(
    "task",
    [
        lambda: None,
        lambda obj: None,
        lambda obj, eng, more: None,
        lambda obj, *, eng: None,
        Methods.plain,
        takes_number,
        partial(a, 1),
        len,
    ],
)
def test_a_task_that_cannot_take_them_is_refused_with_its_signature(callbacks, task):
    with pytest.raises(WorkflowDefinitionError, match=r"at \[1, 0\] cannot be called as task") as e:
        callbacks.replace([a, [task]])
    assert "its signature is (" in e.value.message
    assert repr(task_name(task)) in e.value.message


# Definitions


def test_a_definition_compares_as_a_list():
    assert clean([a, [b]]) == [a, [b]]
    assert clean([a, [b]]) != [a, b]


@pytest.mark.parametrize(
    "change",
    [
        lambda definition: definition.append(b),
        lambda definition: definition.insert(0, b),
        lambda definition: definition.extend([b]),
        lambda definition: definition.remove(a),
        lambda definition: definition.pop(),
        lambda definition: definition.clear(),
        lambda definition: definition.sort(),
        lambda definition: definition.reverse(),
        lambda definition: definition.__setitem__(0, b),
        lambda definition: definition.__delitem__(0),
        lambda definition: definition.__iadd__([b]),
        lambda definition: definition.__imul__(2),
    ],
)
def test_a_definition_is_read_only(callbacks, change):
    callbacks.add(a)
    with pytest.raises(TypeError, match=r"read-only.*eng\.callbacks"):
        change(callbacks.get())
    assert callbacks.get() == [a]


@pytest.mark.parametrize(
    ("position", "found"),
    [
        ([0], a),
        ([1], [b, [c]]),
        ([1, 0], b),
        ([1, 1, 0], c),
        ([2], None),
        ([1, 2], None),
        ([0, 0], None),
        ([-1], None),
    ],
)
def test_at_finds_what_a_position_addresses(position, found):
    assert clean([a, [b, [c]]]).at(position) == found


@pytest.mark.parametrize("copied", [copy.copy, lambda kept: pickle.loads(pickle.dumps(kept))])
def test_a_definition_is_copied_and_pickled(copied):
    definition = clean([a, [b]])
    twin = copied(definition)
    assert twin is not definition
    assert type(twin) is Definition
    assert twin == definition


def test_a_copied_loop_still_loops():
    token = []
    eng = GenericWorkflowEngine()
    loop = WHILE(lambda obj, eng: len(obj) < 2, lambda obj, eng: obj.append("turn"))
    eng.callbacks.replace([copy.copy(loop)])
    eng.process([token])
    assert token == ["turn", "turn"]


def test_a_loop_rebuilt_with_other_tasks_still_loops():
    loop = WHILE(lambda obj, eng: len(obj) < 2, a)
    rebuilt = loop.rebuilt([loop[0], lambda obj, eng: obj.append("turn")], loop.lead)
    token = []
    eng = GenericWorkflowEngine()
    eng.callbacks.replace([rebuilt])
    eng.process([token])
    assert token == ["turn", "turn"]
    assert task_name(rebuilt) == "WHILE"


class Nameless:
    def __call__(self, obj, eng): ...


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (a, "a"),
        (len, "len"),
        ([a], "[...]"),
        (WHILE(a, b), "WHILE"),
        (Nameless(), "Nameless"),
        (partial(a), "partial"),
    ],
)
def test_a_task_has_a_name_for_people(task, name):
    assert task_name(task) == name
