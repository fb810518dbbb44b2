"""Tokens: any objects, in any sequence, or read lazily from an iterator."""

import gc
import logging
import weakref
from array import array
from collections import UserList, deque

import pytest

from wfengine import signals
from wfengine.engine import GenericWorkflowEngine, MachineState
from wfengine.errors import HaltProcessing, WorkflowAPIError
from wfengine.tokens import TokenStream, as_tokens


def engine_for(*definition):
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    return eng


def seen_in(objects):
    """Return the tokens that a run over these objects sees."""
    seen = []
    engine_for(lambda obj, eng: seen.append(obj)).process(objects)
    return seen


# Where tokens come from


@pytest.mark.parametrize(
    "objects",
    [
        [1, 2, 3],
        (1, 2, 3),
        range(1, 4),
        UserList([1, 2, 3]),
        deque([1, 2, 3]),
        array("i", [1, 2, 3]),
        iter([1, 2, 3]),
        (number for number in (1, 2, 3)),
        map(int, "123"),
        {1: "a", 2: "b", 3: "c"}.keys(),
        {1, 2, 3},
    ],
    ids=lambda objects: type(objects).__name__,
)
def test_tokens_come_from_any_sequence_or_iterable(objects):
    assert seen_in(objects) == [1, 2, 3]


@pytest.mark.parametrize("objects", [[1, 2], (1, 2), range(2), UserList([1, 2])])
def test_a_sequence_is_used_as_it_is(objects):
    assert as_tokens(objects, kept=3) is objects


class Hostile:
    """A token that refuses to be compared, asked for its truth or its length, or hashed."""

    __hash__ = None

    def _refuse(self, *args):
        raise AssertionError("a token is nobody's business but its tasks'")

    __eq__ = __bool__ = __len__ = __call__ = __getitem__ = __iter__ = _refuse


@pytest.mark.parametrize(
    "token",
    [None, 0, "", "text", [], {}, ValueError("as data"), HaltProcessing(), print, Hostile()],
)
def test_a_token_may_be_any_object(token):
    (seen,) = seen_in([token])
    assert seen is token


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ("tokens", r"not in a str; for one token write \[token\]"),
        (b"tokens", r"not in a bytes; for one token write \[token\]"),
        (bytearray(b"tokens"), r"not in a bytearray; for one token write \[token\]"),
        ({"a": 1}, r"not in a dict; for one token write \[token\]"),
        (None, r"a NoneType is no collection of tokens; for one token write \[token\]"),
        (7, r"a int is no collection of tokens; for one token write \[token\]"),
        (object(), r"a object is no collection of tokens; for one token write \[token\]"),
    ],
)
def test_what_is_surely_no_collection_of_tokens_is_refused(objects, message):
    with pytest.raises(WorkflowAPIError, match=message):
        seen_in(objects)


def test_an_asynchronous_generator_is_refused():
    async def tokens():
        yield 1

    with pytest.raises(WorkflowAPIError, match="ordinary iterable, not from an asynchronous one"):
        seen_in(tokens())


# Reading lazily


def counted(numbers, read):
    for number in numbers:
        read.append(number)
        yield number


def test_a_token_is_read_when_it_is_its_turn():
    read, behind = [], []
    engine_for(lambda obj, eng: behind.append(read[-1] - obj)).process(counted(range(5), read))
    assert behind == [0] * 5


def test_what_follows_a_halt_is_not_read():
    def halt_at_two(obj, eng):
        if obj == 2:
            eng.halt()

    read = []
    eng = engine_for(halt_at_two)
    with pytest.raises(HaltProcessing):
        eng.process(counted(range(5), read))
    assert read == [0, 1, 2]
    eng.restart("next", "first")
    assert read == [0, 1, 2, 3, 4]


def test_an_endless_iterator_is_read_until_the_run_is_stopped():
    def endless():
        while True:
            yield 1

    eng = engine_for(lambda obj, eng: len(eng) == 100 and eng.stop())
    eng.process(endless())
    assert len(eng) == 100


class Token:
    """Something that can be referred to weakly."""


@pytest.mark.parametrize("watched", [False, True])
def test_tokens_that_are_done_are_released(watched):
    """However many there are, only so many are alive as the engine keeps, and the new one."""
    alive, most = weakref.WeakSet(), 0

    def tokens():
        for _ in range(500):
            token = Token()
            alive.add(token)
            yield token
            del token

    def count(obj, eng):
        nonlocal most
        gc.collect(0)
        most = max(most, len(alive))

    def watch(sender, **context): ...

    eng = engine_for(count, [count])
    if watched:
        with signals.task_started.connected_to(watch), signals.token_finished.connected_to(watch):
            eng.process(tokens())
    else:
        eng.process(tokens())
    assert len(eng) == 500
    assert most <= eng.kept_tokens + 1


def test_failed_tokens_are_released_too():
    alive = weakref.WeakSet()

    def fail(obj, eng):
        alive.add(obj)
        raise ValueError("every time")

    eng = engine_for(fail)
    eng.process((Token() for _ in range(300)), stop_on_error=False)
    gc.collect()
    assert 0 < len(alive) <= eng.kept_tokens


# Jumping


def test_an_iterator_is_jumped_over_forwards():
    seen = []

    def jump(obj, eng):
        seen.append(obj)
        eng.jump_token(3)

    engine_for(jump).process(iter(range(8)))
    assert seen == [0, 3, 6]


def back_once(offset, at):
    """Return a task that jumps back once, at this token."""
    jumps = []

    def task(obj, eng):
        if obj == at and not jumps:
            jumps.append(obj)
            eng.jump_token(offset)

    return task


def test_an_iterator_is_jumped_back_as_far_as_tokens_are_kept():
    seen = []
    eng = engine_for(lambda obj, eng: seen.append(obj), back_once(-15, at=19))
    eng.process(iter(range(20)))
    assert seen == [*range(20), *range(4, 20)]


def test_a_jump_back_past_what_is_kept_is_a_clear_error():
    eng = engine_for(back_once(-16, at=19))
    with pytest.raises(
        WorkflowAPIError, match=r"token 3 is gone.*the last 16.*Pass a list"
    ) as caught:
        eng.process(iter(range(20)))
    assert "kept_tokens" in caught.value.message
    assert not eng.has_completed


def test_how_many_tokens_are_kept_is_said_by_the_class():
    class Forgetful(GenericWorkflowEngine):
        kept_tokens = 2

    eng = Forgetful()
    eng.callbacks.replace([back_once(-1, at=5)])
    eng.process(iter(range(6)))
    assert eng.has_completed
    eng.callbacks.replace([back_once(-2, at=5)])
    with pytest.raises(WorkflowAPIError, match=r"token 3 is gone.*the last 2"):
        eng.process(iter(range(6)))


def test_a_restart_goes_back_as_far_as_tokens_are_kept():
    eng = engine_for(lambda obj, eng: obj == 20 and eng.halt())
    with pytest.raises(HaltProcessing):
        eng.process(iter(range(21)))
    with pytest.raises(WorkflowAPIError, match="token 0 is gone"):
        eng.restart("first", "first")


# Sources that fail


@pytest.mark.parametrize("error", [ValueError, KeyError, IndexError, OSError])
def test_what_the_source_of_the_tokens_raises_reaches_the_caller(error):
    def tokens():
        yield 1
        raise error("line 2 is cut off")

    eng = engine_for(lambda obj, eng: None)
    with pytest.raises(error, match="line 2 is cut off"):
        eng.process(tokens())
    assert not eng.has_completed
    assert eng.state.token_pos == 0


def test_a_row_that_is_too_short_does_not_end_the_run_silently():
    rows = [["a", "b"], ["c"], ["d", "e"]]
    with pytest.raises(IndexError):
        seen_in(row[1] for row in rows)


# The stream


@pytest.fixture
def stream():
    return TokenStream("abcdef", kept=3)


def test_a_stream_is_as_long_as_what_was_read(stream):
    assert len(stream) == 0
    assert stream[1] == "b"
    assert len(stream) == 2


def test_a_stream_holds_its_last_tokens_only(stream):
    assert [stream[index] for index in (0, 1, 2, 3)] == ["a", "b", "c", "d"]
    assert (stream[1], stream[-1], stream[-3]) == ("b", "d", "b")
    with pytest.raises(WorkflowAPIError, match="token 0 is gone"):
        stream[0]


def test_past_its_end_a_stream_has_no_token(stream):
    with pytest.raises(IndexError, match="no more tokens"):
        stream[6]
    assert len(stream) == 6


def test_a_stream_is_not_sliced(stream):
    with pytest.raises(TypeError, match="one by one"):
        stream[0:2]


def test_a_stream_shows_how_far_it_was_read_and_no_token(stream):
    assert stream[0]
    assert repr(stream) == "<TokenStream: 1 tokens read>"


def test_the_current_object_is_found_in_the_stream():
    eng = engine_for(lambda obj, eng: eng.halt() if eng.current_object == "c" else None)
    with pytest.raises(HaltProcessing):
        eng.process(iter("abcdef"))
    assert eng.current_object == "c"
    assert eng.state == MachineState(2, [0])


# Showing tokens


class Secret:
    """A token whose repr counts how often it is computed."""

    shown = 0

    def __repr__(self):
        self.shown += 1
        return "secret"


@pytest.mark.parametrize(
    "last",
    [
        lambda obj, eng: None,
        lambda obj, eng: eng.halt(payload=obj),
        lambda obj, eng: eng.skip_token(),
        lambda obj, eng: eng.current_object,
        lambda obj, eng: obj.missing,
        lambda obj, eng: repr(eng),
        lambda obj, eng: obj,
    ],
)
def test_the_repr_of_a_token_is_never_computed(last, caplog):
    caplog.set_level(logging.DEBUG)
    token = Secret()

    def watch(sender, **context): ...

    eng = engine_for(last)
    with signals.task_started.connected_to(watch), signals.token_finished.connected_to(watch):
        eng.process([token], stop_on_error=False, stop_on_halt=False)
    with pytest.raises(WorkflowAPIError):
        eng.restart("last", "first")
    assert token.shown == 0


def test_a_log_line_that_is_not_emitted_costs_no_repr(caplog):
    caplog.set_level(logging.INFO)
    token = Secret()
    eng = engine_for(lambda obj, eng: eng.log.debug("at %r", obj))
    eng.process([token])
    assert token.shown == 0
    caplog.set_level(logging.DEBUG)
    eng.process([token])
    assert token.shown > 0
    assert caplog.messages == ["at secret"]
