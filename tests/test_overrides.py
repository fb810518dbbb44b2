"""What a subclass of the engine overrides: how tasks are chosen, run and executed."""

import asyncio

import pytest

from wfengine.engine import Callbacks, GenericWorkflowEngine
from wfengine.errors import (
    HaltProcessing,
    JumpCall,
    WorkflowAPIError,
    WorkflowDefinitionError,
    WorkflowError,
)


def mark(name):
    """Return a task that appends its name to the token, a list."""

    def task(obj, eng):
        obj.append(name)

    task.__name__ = name
    return task


def run(engine_class, *definition):
    """Run a definition on one token, an empty list, and return it."""
    eng, token = engine_class(), []
    eng.callbacks.replace(definition)
    eng.process([token])
    return token


def run_async(engine_class, *definition):
    eng, token = engine_class(), []
    eng.callbacks.replace(definition)
    asyncio.run(eng.process_async([token]))
    return token


# execute_callback


class Logging(GenericWorkflowEngine):
    """As one writes it first: it returns nothing."""

    def execute_callback(self, callback, obj):
        obj.append(f"before {callback.__name__}")
        callback(obj, self)
        obj.append(f"after {callback.__name__}")


@pytest.mark.parametrize("run", [run, run_async])
def test_execute_callback_is_called_for_each_task(run):
    token = run(Logging, mark("a"), [mark("b")])
    assert token == ["before a", "a", "after a", "before b", "b", "after b"]


@pytest.mark.parametrize("run", [run, run_async])
def test_what_a_task_hands_over_is_not_lost_when_the_override_returns_nothing(run):
    def jump(obj, eng):
        return JumpCall(2)

    assert run(Logging, jump, mark("a"), mark("b"))[2:] == ["before b", "b", "after b"]


@pytest.mark.parametrize("run", [run, run_async])
def test_what_a_task_has_awaited_is_not_lost_when_the_override_returns_nothing(run):
    async def jump(obj, eng):
        await asyncio.sleep(0)
        return JumpCall(2)

    assert run(Logging, jump, mark("a"), mark("b"))[2:] == ["before b", "b", "after b"]


class Returning(GenericWorkflowEngine):
    def execute_callback(self, callback, obj):
        return super().execute_callback(callback, obj)


class Awaiting(GenericWorkflowEngine):
    async def execute_callback(self, callback, obj):
        result = callback(obj, self)
        return await result if hasattr(result, "__await__") else result


class AwaitingForNothing(GenericWorkflowEngine):
    async def execute_callback(self, callback, obj):
        result = callback(obj, self)
        if hasattr(result, "__await__"):
            await result


@pytest.mark.parametrize("engine_class", [Returning, Awaiting, AwaitingForNothing])
@pytest.mark.parametrize("run", [run, run_async])
def test_an_override_may_return_or_await_what_the_task_returned(run, engine_class):
    async def jump(obj, eng):
        await asyncio.sleep(0)
        return JumpCall(2)

    def jump_at_once(obj, eng):
        return JumpCall(2)

    token = run(engine_class, jump, mark("a"), jump_at_once, mark("b"), mark("c"))
    assert token == ["c"]


def test_an_override_may_hand_over_a_transition_of_its_own():
    class Skipping(GenericWorkflowEngine):
        def execute_callback(self, callback, obj):
            callback(obj, self)
            return JumpCall(2)

    assert run(Skipping, mark("a"), mark("b"), mark("c")) == ["a", "c"]


def test_an_override_need_not_run_the_task():
    class Dry(GenericWorkflowEngine):
        def execute_callback(self, callback, obj):
            obj.append(f"would run {callback.__name__}")

    assert run(Dry, mark("a"), [mark("b")]) == ["would run a", "would run b"]


def test_transitions_raised_in_the_task_pass_an_override():
    with pytest.raises(HaltProcessing):
        run(Logging, lambda obj, eng: eng.halt())
    jump = lambda obj, eng: eng.jump_call(2)  # noqa: E731
    assert run(Logging, [jump, mark("a")], mark("b"))[1:] == ["before b", "b", "after b"]


def test_an_override_that_swallows_a_transition_is_found_out():
    class Careless(GenericWorkflowEngine):
        def execute_callback(self, callback, obj):
            try:
                callback(obj, self)
            except Exception:  # noqa: BLE001 - this is the carelessness
                obj.append("swallowed")

    def halt(obj, eng):
        eng.halt()

    with pytest.raises(WorkflowError, match="task 'halt' at"):
        run(Careless, halt)


def test_an_override_knows_where_it_is():
    class Looking(GenericWorkflowEngine):
        def execute_callback(self, callback, obj):
            obj.append((self.current_taskname, list(self.state.callback_pos)))

    assert run(Looking, mark("a"), [mark("b")]) == [("a", [0]), ("b", [1, 0])]


def test_without_an_override_execute_callback_runs_a_task():
    assert GenericWorkflowEngine().execute_callback(lambda obj, eng: obj + 1, 1) == 2


# run_callbacks


class Bracketing(GenericWorkflowEngine):
    """Does something around the tasks of each token, and returns nothing."""

    def run_callbacks(self, callbacks, objects, obj, indent=0):
        obj.append("[")
        super().run_callbacks(callbacks, objects, obj, indent)
        obj.append("]")


class BracketingAsync(GenericWorkflowEngine):
    async def run_callbacks(self, callbacks, objects, obj, indent=0):
        obj.append("[")
        await super().run_callbacks(callbacks, objects, obj, indent)
        obj.append("]")


async def later(obj, eng):
    await asyncio.sleep(0)
    obj.append("later")


def test_run_callbacks_is_called_for_each_token():
    eng = Bracketing()
    eng.callbacks.replace([mark("a"), [mark("b"), later]])
    tokens = [[], []]
    eng.process(tokens)
    assert tokens == [["[", "a", "b", "later", "]"]] * 2


def test_run_callbacks_is_awaited_under_process_async():
    assert run_async(BracketingAsync, mark("a"), [later]) == ["[", "a", "later", "]"]


def test_an_override_of_run_callbacks_may_return_the_awaitable():
    class Passing(GenericWorkflowEngine):
        def run_callbacks(self, callbacks, objects, obj, indent=0):
            return super().run_callbacks(callbacks, objects, obj, indent)

    assert run(Passing, mark("a"), later) == ["a", "later"]
    assert run_async(Passing, mark("a"), later) == ["a", "later"]


def test_run_callbacks_receives_the_definition_the_tokens_and_the_token():
    received = []

    class Looking(GenericWorkflowEngine):
        def run_callbacks(self, callbacks, objects, obj, indent=0):
            received.append((callbacks, objects, obj, indent))

    eng, a, tokens = Looking(), mark("a"), ["x", "y"]
    eng.callbacks.replace([a, [a]])
    eng.process(tokens)
    assert received == [([a, [a]], tokens, "x", 0), ([a, [a]], tokens, "y", 0)]


def test_run_callbacks_may_run_another_definition():
    class Replacing(GenericWorkflowEngine):
        def run_callbacks(self, callbacks, objects, obj, indent=0):
            super().run_callbacks([mark("x"), None, (mark("y"),)], objects, obj)

    assert run(Replacing, mark("a")) == ["x", "y"]


def test_transitions_pass_an_override_of_run_callbacks():
    eng = Bracketing()
    eng.callbacks.replace([lambda obj, eng: eng.skip_token()])
    tokens = [[], []]
    eng.process(tokens)
    assert tokens == [["["], ["["]]


def test_run_callbacks_starts_at_the_position():
    eng, token = Bracketing(), []
    eng.callbacks.replace([mark("a"), [mark("b"), mark("c")]])
    eng.state.callback_pos = [1, 1]
    eng.process([token], reset_state=False)
    assert token == ["[", "c", "]"]


def test_run_callbacks_runs_tasks_outside_of_a_run_too():
    eng, token = GenericWorkflowEngine(), []
    eng.run_callbacks([mark("a"), [mark("b")]], [token], token)
    assert token == ["a", "b"]


def test_outside_of_a_run_what_leaves_the_tasks_is_raised():
    eng = GenericWorkflowEngine()
    with pytest.raises(HaltProcessing):
        eng.run_callbacks([mark("a"), [lambda obj, eng: eng.halt()]], [[]], [])
    assert eng.state.callback_pos == [1, 0]


def test_run_callbacks_refuses_to_start_inside():
    with pytest.raises(WorkflowAPIError, match="outermost list, not at 1"):
        GenericWorkflowEngine().run_callbacks([mark("a")], [[]], [], indent=1)


# callback_chooser


class ByType(GenericWorkflowEngine):
    def callback_chooser(self, obj):
        return self.callbacks.get(type(obj).__name__)


def test_callback_chooser_chooses_the_definition_for_a_token():
    eng, seen = ByType(), []
    eng.callbacks.add(lambda obj, eng: seen.append(("int", obj)), "int")
    eng.callbacks.add(lambda obj, eng: seen.append(("str", obj)), "str")
    eng.process([1, "x", 2])
    assert seen == [("int", 1), ("str", "x"), ("int", 2)]


def test_a_token_for_which_there_is_no_definition_is_an_error_that_names_the_key():
    eng = ByType()
    eng.callbacks.add(mark("a"), "list")
    with pytest.raises(KeyError, match="no callbacks under 'int'; there are: 'list'"):
        eng.process([[], 7])
    assert eng.state.token_pos == 1


def chooses(chosen):
    class Engine(GenericWorkflowEngine):
        def callback_chooser(self, obj):
            return chosen

    return Engine()


def test_a_chooser_needs_no_callbacks():
    eng, token = chooses([mark("a"), (mark("b"), None)]), []
    eng.process([token])
    assert token == ["a", "b"]


def test_a_chooser_may_return_a_single_task():
    eng, token = chooses(mark("a")), []
    eng.process([token])
    assert token == ["a"]


@pytest.mark.parametrize("nothing", [None, []])
def test_a_chooser_that_returns_nothing_is_an_error_that_names_the_token(nothing):
    with pytest.raises(WorkflowDefinitionError, match="nothing to run for token 0"):
        chooses(nothing).process(["x"])


def test_what_a_chooser_returns_is_checked():
    with pytest.raises(WorkflowDefinitionError, match=r"7 \(int\) at \[1\] is no task"):
        chooses([mark("a"), 7]).process([[]])


def test_by_default_every_token_gets_the_definition_under_the_star():
    eng, token = GenericWorkflowEngine(), []
    eng.callbacks.add(mark("a"))
    eng.callbacks.add(mark("other"), "other")
    eng.process([token])
    assert token == ["a"]


def test_the_definition_may_be_another_for_the_next_token():
    """A task that changes the definition changes it for the tokens that follow."""

    def replace(obj, eng):
        eng.callbacks.replace([mark("new")])

    eng = GenericWorkflowEngine()
    eng.callbacks.replace([replace, mark("old")])
    tokens = [[], []]
    eng.process(tokens)
    assert tokens == [["old"], ["new"]]


@pytest.mark.parametrize("clear", [Callbacks.clear, Callbacks.clear_all])
def test_a_definition_that_a_task_clears_is_gone_for_the_next_token(clear):
    eng = GenericWorkflowEngine()
    eng.callbacks.replace([lambda obj, eng: clear(eng.callbacks), mark("a")])
    tokens = [[], []]
    with pytest.raises(KeyError, match=r"no callbacks under '\*'"):
        eng.process(tokens)
    assert tokens == [["a"], []]


def test_an_override_on_the_instance_counts():
    eng, token = GenericWorkflowEngine(), []
    eng.callbacks.add(mark("a"))
    eng.callback_chooser = lambda obj: [mark("mine")]
    eng.process([token])
    assert token == ["mine"]


@pytest.mark.parametrize(
    ("engine_class", "overridden"),
    [(GenericWorkflowEngine, False), (ByType, True), (Logging, False)],
)
def test_an_engine_knows_what_was_overridden(engine_class, overridden):
    assert engine_class().overrides("callback_chooser") is overridden
