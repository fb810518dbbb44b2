"""GRAPH: elements begin when what they require has come, in every way of running."""

import asyncio
import threading

import pytest

from wfengine import GenericWorkflowEngine, HaltProcessing, WorkflowDefinitionError, WorkflowError
from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import StopRequested
from wfengine.patterns import FOR, GRAPH, SYNCHRONIZE
from wfengine.patterns.graph import After, AllOf, AnyOf, Node
from wfengine.store import Store

from .support import Way


def note(name):
    """Return a task that notes its name in the token."""

    def task(obj, eng):
        obj.append(name)

    task.__name__ = name
    return task


def fail(obj, eng):
    raise ValueError("broken")


def ran(definition, token=None):
    """Run a definition for one token, and return it."""
    token = [] if token is None else token
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    eng.process([token])
    return token


def test_an_element_begins_when_what_it_requires_has_come(run: Way):
    graph = GRAPH(
        Node("last", note("last"), requires=["b", After("c", "complete")]),
        Node("a", note("a")),
        Node("b", note("b"), requires="a"),
        Node("c", note("c"), requires=AnyOf("b", After("a", "failure"))),
        Node("never", note("never"), requires=After("a", "failure")),
    )
    token: list[str] = []
    run.process(run.engine([graph, note("after")]), [token])
    assert token == ["a", "b", "c", "last", "after"]


def test_elements_run_beside_each_other(run: Way):
    meeting = threading.Barrier(3)

    def meet(obj, eng):
        meeting.wait(60)

    run.process(run.engine([GRAPH(*(Node(name, meet) for name in "abc"))]), [[]])


def test_a_limit_holds_for_graphs_inside_too():
    lock, now, most = threading.Lock(), [0], [0]

    def work(obj, eng):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        threading.Event().wait(0.002)
        with lock:
            now[0] -= 1

    def inner():
        return [GRAPH(*(Node(str(number), work) for number in range(5)))]

    ran([GRAPH(*(Node(name, inner()) for name in "abcd"), limit=2)])
    assert most == [2]


def test_what_an_element_puts_into_extra_data_is_there_for_the_next(run: Way):
    def put(obj, eng):
        eng.extra_data["x"] = 1

    def read(obj, eng):
        obj.append(eng.extra_data["x"])

    graph = GRAPH(Node("put", put), Node("read", read, requires="put"))
    token: list[int] = []
    run.process(run.engine([graph, read]), [token])
    assert token == [1, 1]


def test_a_failure_that_nothing_answers_is_raised_when_the_others_have_ended(run: Way):
    graph = GRAPH(Node("a", fail), Node("b", note("b")), Node("c", note("c"), requires="a"))
    token: list[str] = []
    with pytest.raises(ValueError, match="broken"):
        run.process(run.engine([graph]), [token])
    assert token == ["b"]


def test_several_failures_are_raised_together():
    with pytest.raises(ExceptionGroup) as raised:
        ran([GRAPH(Node("a", fail), Node("b", fail))])
    assert len(raised.value.exceptions) == 2


def test_a_failure_that_something_answers_is_not_raised(run: Way):
    graph = GRAPH(
        Node("a", fail, stops=True), Node("tidy", note("tidy"), requires=After("a", "failure"))
    )
    token: list[str] = []
    run.process(run.engine([graph]), [token])
    assert token == ["tidy"]


def test_a_node_may_stop_what_has_not_begun():
    token: list[str] = []
    graph = GRAPH(Node("a", fail, stops=True), Node("b", note("b")), limit=1)
    with pytest.raises(ValueError, match="broken"):
        ran([graph], token)
    assert token == []


def test_a_halt_is_raised_and_what_was_done_is_not_done_again(run: Way):
    def ask(obj, eng):
        obj.append("ask")
        eng.halt("what now?")

    graph = GRAPH(
        Node("a", note("a")),
        Node("asks", [ask, note("answered")], requires="a"),
        Node("beside", note("beside"), requires="a"),
        Node("last", note("last"), requires=["asks", "beside"]),
    )
    token: list[str] = []
    eng = run.engine([graph])
    with pytest.raises(HaltProcessing):
        run.process(eng, [token])
    assert sorted(token) == ["a", "ask", "beside"]
    eng.passes_halts = True
    run.restart(eng, "current", "current")
    assert token[3:] == ["answered", "last"]


def test_a_failed_graph_goes_on_with_what_failed():
    tries = []

    def at_the_second_time(obj, eng):
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("first")

    inner = FOR(range(2), "n", [GRAPH(Node("x", note("x")), Node("y", at_the_second_time))])
    graph = GRAPH(Node("a", note("a")), Node("loop", [inner], requires="a"))
    eng, token = GenericWorkflowEngine(), []
    eng.callbacks.replace([graph])
    with pytest.raises(ValueError, match="first"):
        eng.process([token])
    assert token == ["a", "x"]
    eng.restart("current", "current")
    assert token == ["a", "x", "x"]
    assert len(tries) == 3


def test_a_graph_can_be_interrupted_and_goes_on():
    def interrupt(obj, eng):
        obj.append("interrupts")
        eng.parent.interrupt(StopRequested("a test"))

    graph = GRAPH(
        Node("a", interrupt),
        Node("b", note("b"), requires="a"),
        limit=1,
    )
    eng, token = GenericWorkflowEngine(), []
    eng.callbacks.replace([graph, note("after")])
    eng.process([token])
    assert token == ["interrupts"]
    eng.restart("current", "current")
    assert token == ["interrupts", "b", "after"]


def test_what_ends_the_program_comes_out_at_once():
    def interrupted(obj, eng):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ran([GRAPH(Node("a", interrupted), Node("b", note("b"), requires="a"))])


def test_elements_are_branches_of_a_stored_run():
    with Store("sqlite://") as store:
        graph = GRAPH(
            Node("a", note("a")),
            Node("b", [SYNCHRONIZE(note("b1"), note("b2"), note("b3"))], requires="a"),
            Node("c", note("c"), requires="b"),
        )
        eng = DbWorkflowEngine.with_name("run", store=store, definition=[graph])
        eng.process([[]])
        (token,) = eng.final_objects
        assert sorted(token.data) == ["a", "b1", "b2", "b3", "c"]
        assert (token.data[0], token.data[-1]) == ("a", "c")


def test_mistakes_are_refused():
    a, b = Node("a", note("a")), Node("b", note("b"))
    for build, part in (
        (GRAPH, "at least one"),
        (lambda: GRAPH(a, a), "two elements"),
        (lambda: GRAPH(note("a")), "takes Node"),
        (lambda: GRAPH(Node("", note("a"))), "text"),
        (lambda: GRAPH(a, limit=0), "at least 1"),
        (lambda: GRAPH(a, limit="2"), "whole number"),
        (lambda: GRAPH(Node("a", 3)), "'a'"),
        (lambda: GRAPH(Node("a", note("a"), requires="x")), "'x'"),
        (lambda: GRAPH(a, Node("c", note("c"), requires=After("a", "done"))), "'done'"),
        (lambda: GRAPH(a, Node("c", note("c"), requires=AnyOf())), "never"),
        (lambda: GRAPH(a, Node("c", note("c"), requires=7)), "7"),
        (lambda: GRAPH(Node("a", note("a"), requires="a")), "a -> a"),
        (lambda: GRAPH(a, b, Node("c", note("c"), requires=AllOf("a", AnyOf(AllOf())))), "nothing"),
    ):
        with pytest.raises(WorkflowDefinitionError) as raised:
            build()
        assert part in str(raised.value)
    assert issubclass(WorkflowDefinitionError, WorkflowError)


def test_a_graph_runs_inside_of_an_event_loop_without_awaiting_it():
    async def main():
        return ran([GRAPH(Node("a", note("a")))])

    assert asyncio.run(main()) == ["a"]
