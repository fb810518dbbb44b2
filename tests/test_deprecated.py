"""Old spellings: each works, and warns with the name that took its place."""

import re
import warnings

import pytest

from wfengine import deprecated, errors
from wfengine.engine import GenericWorkflowEngine, MachineState
from wfengine.errors import (
    AbortProcessing,
    BreakFromThisLoop,
    ContinueNextToken,
    HaltProcessing,
    JumpCall,
    JumpToken,
    SkipToken,
    StopProcessing,
)


def a(obj, eng): ...


def b(obj, eng): ...


@pytest.fixture
def eng():
    return GenericWorkflowEngine()


def call(old, new, use):
    """Use an old spelling; check that it warns, once, where it was used; return the result."""
    message = f"{old} is deprecated: use {new}"
    with pytest.warns(DeprecationWarning, match=f"^{re.escape(message)}$") as caught:
        result = use()
    (warning,) = caught
    assert warning.filename == __file__
    return result


# Transitions


@pytest.mark.parametrize(
    ("old", "arguments", "new", "transition"),
    [
        ("haltProcessing", ("why", "act", 1), "halt", HaltProcessing("why", "act", 1)),
        ("haltProcessing", (), "halt", HaltProcessing()),
        ("stopProcessing", (), "stop", StopProcessing()),
        ("abortProcessing", (), "abort", AbortProcessing()),
        ("skipToken", (), "skip_token", SkipToken()),
        ("continueNextToken", (), "continue_next_token", ContinueNextToken()),
        ("breakFromThisLoop", (), "break_current_loop", BreakFromThisLoop()),
        ("jumpToken", (-2,), "jump_token", JumpToken(-2)),
        ("jumpCall", (3,), "jump_call", JumpCall(3)),
        ("jumpTokenForward", (2,), "jump_token(offset)", JumpToken(2)),
        ("jumpTokenForward", (), "jump_token(offset)", JumpToken(1)),
        ("jumpTokenBack", (2,), "jump_token(-offset)", JumpToken(-2)),
        ("jumpTokenBack", (-2,), "jump_token(-offset)", JumpToken(-2)),
        ("jumpTokenBack", (), "jump_token(-offset)", JumpToken(-1)),
        ("jumpCallForward", (2,), "jump_call(offset)", JumpCall(2)),
        ("jumpCallForward", (), "jump_call(offset)", JumpCall(1)),
        ("jumpCallBack", (2,), "jump_call(-offset)", JumpCall(-2)),
        ("jumpCallBack", (-2,), "jump_call(-offset)", JumpCall(-2)),
        ("jumpCallBack", (), "jump_call(-offset)", JumpCall(-1)),
    ],
)
def test_an_old_transition_raises_the_new_one(eng, old, arguments, new, transition):
    def use():
        with pytest.raises(type(transition)) as caught:
            getattr(eng, old)(*arguments)
        return caught.value

    raised = call(old, f"eng.{new}", use)
    assert type(raised) is type(transition)
    assert raised.args == transition.args


def test_an_old_transition_steers_a_run(eng):
    tokens = [[], []]
    eng.callbacks.replace(
        [lambda obj, eng: eng.jumpCallForward(2), a, lambda obj, eng: obj.append("jumped")]
    )
    with pytest.warns(DeprecationWarning, match="jumpCallForward"):
        eng.process(tokens)
    assert tokens == [["jumped"], ["jumped"]]


@pytest.mark.parametrize(
    ("old", "arguments", "new", "offset"),
    [
        ("JumpTokenForward", (2,), "JumpToken(offset)", 2),
        ("JumpTokenForward", (), "JumpToken(offset)", 1),
        ("JumpTokenBack", (2,), "JumpToken(-offset)", -2),
        ("JumpTokenBack", (-2,), "JumpToken(-offset)", -2),
        ("JumpTokenBack", (), "JumpToken(-offset)", -1),
    ],
)
def test_an_old_error_is_a_jump(old, arguments, new, offset):
    with pytest.warns(DeprecationWarning, match=f"{old} is deprecated: use ") as caught:
        error_class = getattr(errors, old)
    assert str(caught[0].message).endswith(new)
    assert isinstance(error_class(*arguments), JumpToken)
    assert error_class(*arguments).offset == offset


def test_an_old_error_that_a_task_raises_moves_the_engine(eng):
    seen = []

    def jump(obj, eng):
        seen.append(obj)
        raise deprecated.JumpTokenForward(2)

    eng.callbacks.replace([jump])
    eng.process([0, 1, 2, 3, 4])
    assert seen == [0, 2, 4]


# Definitions


def test_set_workflow(eng):
    eng.callbacks.add(a)
    call("setWorkflow", "eng.callbacks.replace", lambda: eng.setWorkflow([b]))
    assert eng.callbacks.get() == [b]


@pytest.mark.parametrize("arguments", [("key", a), (a, "key")])
def test_add_callback_takes_its_arguments_in_either_order(eng, arguments):
    call("addCallback", "eng.callbacks.add(func, key)", lambda: eng.addCallback(*arguments))
    assert eng.callbacks.get(None) == {"key": [a]}


@pytest.mark.parametrize("arguments", [("key", [a, b]), ([a, b], "key")])
def test_add_many_callbacks_takes_its_arguments_in_either_order(eng, arguments):
    new = "eng.callbacks.add_many(funcs, key)"
    call("addManyCallbacks", new, lambda: eng.addManyCallbacks(*arguments))
    assert eng.callbacks.get(None) == {"key": [a, b]}


@pytest.mark.parametrize("arguments", [("key", [b]), ([b], "key")])
def test_replace_callbacks_takes_its_arguments_in_either_order(eng, arguments):
    eng.callbacks.add(a, "key")
    new = "eng.callbacks.replace(funcs, key)"
    call("replaceCallbacks", new, lambda: eng.replaceCallbacks(*arguments))
    assert eng.callbacks.get(None) == {"key": [b]}


def test_remove_callbacks(eng):
    eng.callbacks.add(a, "one")
    eng.callbacks.add(b, "two")
    call("removeCallbacks", "eng.callbacks.clear", lambda: eng.removeCallbacks("one"))
    assert eng.callbacks.get(None) == {"two": [b]}


def test_remove_all_callbacks(eng):
    eng.callbacks.add(a, "one")
    call("removeAllCallbacks", "eng.callbacks.clear_all", eng.removeAllCallbacks)
    assert eng.callbacks.empty()


@pytest.mark.parametrize(("arguments", "found"), [((), [a]), (("*",), [a]), ((None,), {"*": [a]})])
def test_get_callbacks(eng, arguments, found):
    eng.callbacks.add(a)
    got = call("getCallbacks", "eng.callbacks.get", lambda: eng.getCallbacks(*arguments))
    assert got == found


# Position


def test_set_position(eng):
    new = "eng.state.token_pos and eng.state.callback_pos"
    call("setPosition", new, lambda: eng.setPosition(3, [1, 2]))
    assert eng.state == MachineState(3, [1, 2])


def test_get_curr_obj_id(eng):
    eng.state.token_pos = 3
    assert call("getCurrObjId", "eng.state.token_pos", eng.getCurrObjId) == 3


def test_get_curr_task_id(eng):
    eng.state.callback_pos = [1, 2]
    found = call("getCurrTaskId", "eng.state.callback_pos", eng.getCurrTaskId)
    assert found == [1, 2]
    found.append(0)
    assert eng.state.callback_pos == [1, 2]


# Variables


def test_set_var(eng):
    call("setVar", "eng.extra_data[key] = value", lambda: eng.setVar("key", 1))
    assert eng.extra_data == {"key": 1}


def test_get_var(eng):
    eng.extra_data["key"] = 1
    new = "eng.extra_data.setdefault(key, default)"
    assert call("getVar", new, lambda: eng.getVar("key")) == 1
    assert call("getVar", new, lambda: eng.getVar("other", 2)) == 2
    assert eng.extra_data == {"key": 1, "other": 2}


@pytest.mark.parametrize("there", [True, False])
def test_has_var(eng, there):
    if there:
        eng.extra_data["key"] = None
    assert call("hasVar", "key in eng.extra_data", lambda: eng.hasVar("key")) is there


def test_del_var(eng):
    eng.extra_data["key"] = 1
    new = "eng.extra_data.pop(key, None)"
    call("delVar", new, lambda: eng.delVar("key"))
    call("delVar", new, lambda: eng.delVar("key"))
    assert eng.extra_data == {}


def test_store_is_extra_data_itself(eng):
    store = call("store", "eng.extra_data", lambda: eng.store)
    store["key"] = 1
    assert eng.extra_data == {"key": 1}
    eng.extra_data["other"] = 2
    assert (dict(store), "other" in store) == ({"key": 1, "other": 2}, True)
    store.update(third=3)
    del store["key"]
    assert eng.extra_data == {"other": 2, "third": 3}


def test_the_store_acts_as_get_var_by_setget(eng):
    store = call("store", "eng.extra_data", lambda: eng.store)
    assert store.setget("key", 1) == 1
    assert store.setget("key", 2) == 1
    assert store.setget("other") is None
    assert eng.extra_data == {"key": 1, "other": None}


# Engines for branches


def test_duplicate_is_a_child_with_the_same_definition(eng):
    eng.callbacks.add(a)
    eng.extra_data["given"] = 1
    twin = call("duplicate", "eng.child(callbacks)", eng.duplicate)
    assert twin.parent is eng
    assert twin.callbacks.get() == [a]
    assert twin.extra_data == {"given": 1}
    twin.callbacks.replace([b])
    assert eng.callbacks.get() == [a]


def test_a_duplicate_of_an_engine_without_a_definition_has_none(eng):
    twin = call("duplicate", "eng.child(callbacks)", eng.duplicate)
    assert twin.callbacks.empty()


def test_a_duplicate_runs_another_workflow(eng):
    eng.callbacks.add(a)
    token = []
    twin = call("duplicate", "eng.child(callbacks)", eng.duplicate)
    call(
        "setWorkflow",
        "eng.callbacks.replace",
        lambda: twin.setWorkflow([lambda obj, eng: obj.append("branch")]),
    )
    twin.process([token])
    assert token == ["branch"]


# Choosing by the token's type


class Record:
    def __init__(self, kind):
        self.kind = kind
        self.seen = []

    def getFeature(self, name):
        return self.kind if name == "type" else None


def test_the_definition_is_chosen_by_the_tokens_feature(eng):
    eng.callbacks.add(lambda obj, eng: obj.seen.append("book"), "book")
    eng.callbacks.add(lambda obj, eng: obj.seen.append("any"))
    book, other = Record("book"), Record("film")
    with pytest.warns(DeprecationWarning, match=r"getFeature\('type'\).*callback_chooser"):
        eng.process([book, other])
    assert (book.seen, other.seen) == (["book"], ["any"])


def test_a_token_without_a_feature_warns_about_nothing(eng):
    eng.callbacks.add(a, "book")
    eng.callbacks.add(lambda obj, eng: obj.append("any"))
    token = []
    eng.process([token])
    assert token == ["any"]


def test_new_spellings_warn_about_nothing(eng):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        eng.callbacks.add(lambda obj, eng: eng.jump_call(1))
        eng.extra_data["key"] = 1
        eng.process(["x"])
        eng.child([a]).process(["x"])
    assert caught == []
