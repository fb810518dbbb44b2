"""Whatever tasks do to a token: its past is what it was, and going back and on changes nothing.

The past is checked against a run in memory, in which each task writes down what it finds.
"""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfengine.engine import GenericWorkflowEngine
from wfengine.engine_db import DbWorkflowEngine
from wfengine.patterns import FOR, IF_ELSE, TRY, WHILE
from wfengine.store import Store

KEYS = st.sampled_from(["a", "b", "$", "ä", "", "log"])

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.decimals(allow_nan=False, places=2)
    | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.sets(st.integers(0, 5), max_size=3)
    ),
    max_leaves=6,
)

MUTATIONS = st.one_of(
    st.tuples(st.just("put"), KEYS, VALUES),
    st.tuples(st.just("drop"), KEYS, st.none()),
    st.tuples(st.just("append"), KEYS, VALUES),
    st.tuples(st.just("cut"), KEYS, st.integers(0, 3)),
    st.tuples(st.just("turn"), KEYS, st.none()),
    st.tuples(st.just("nothing"), KEYS, st.none()),
    st.tuples(st.just("replace"), KEYS, st.dictionaries(KEYS, VALUES, max_size=3)),
)

DEFINITIONS = st.recursive(
    st.lists(MUTATIONS, min_size=1, max_size=3),
    lambda inner: st.lists(
        MUTATIONS
        | inner
        | st.tuples(st.just("FOR"), inner)
        | st.tuples(st.just("WHILE"), inner)
        | st.tuples(st.just("IF_ELSE"), inner, inner)
        | st.tuples(st.just("TRY"), inner),
        min_size=1,
        max_size=3,
    ),
    max_leaves=8,
)

TOKENS = st.dictionaries(KEYS, VALUES, max_size=3)


@pytest.fixture(scope="module")
def store():
    with Store("sqlite://", synchronous="OFF") as found:
        yield found


class Builder:
    """Makes definitions whose tasks do what they are told, and write down what they find.

    :param found: what the token was before each task, if somebody wants to know.
    """

    def __init__(self, found=None):
        self.found = found
        self.number = 0
        self.around = []

    def definition(self, parts):
        return [self.part(part) for part in parts]

    def part(self, part):
        if isinstance(part, list):
            return self.definition(part)
        kind, *rest = part
        if kind in PATTERNS:
            self.number += 1
            name = f"i{self.number}"
            self.around += [name] if kind == "FOR" else []
            inside = [self.definition(each) for each in rest]
            del self.around[len(self.around) - (kind == "FOR") :]
            return PATTERNS[kind](name, *inside)
        return self.task(kind, *rest)

    def task(self, kind, key, value):
        around = tuple(self.around)  # what other loops have left in extra_data is of no token

        def run(token, eng):
            if self.found is not None:
                self.found.append(deepcopy(token))
            turn = [eng.extra_data[name] for name in around]
            MEANINGS[kind](token, key, deepcopy(value), turn)

        run.__name__ = "mutation"
        return run


def is_below_two(key):
    return lambda token, eng: token.get(key, 0) < 2


def count(key):
    def task(token, eng):
        token[key] = token.get(key, 0) + 1

    return task


def fail_once(key):
    def task(token, eng):
        if key not in token:
            token[key] = True
            raise ValueError(key)

    return task


PATTERNS = {
    "FOR": lambda name, inside: FOR(["x", "y"], name, inside),
    "WHILE": lambda name, inside: WHILE(is_below_two(f"#{name}"), [count(f"#{name}"), inside]),
    "IF_ELSE": lambda name, one, other: IF_ELSE(lambda t, e: "a" in t, one, other),
    "TRY": lambda name, inside: TRY([inside, fail_once(f"#{name}")], retry=1),
}


def put(token, key, value, turn):
    token[key] = value


def drop(token, key, value, turn):
    token.pop(key, None)


def append(token, key, value, turn):
    held = token.get(key)
    token[key] = [*(held if isinstance(held, list) else [held]), value, *turn]


def cut(token, key, value, turn):
    if isinstance(token.get(key), list):
        del token[key][value:]


def turn_round(token, key, value, turn):
    turned = dict(reversed(token.items()))
    token.clear()
    token.update(turned)


def nothing(token, key, value, turn):
    pass


def replace(token, key, value, turn):
    for each in [each for each in token if each[:1] != "#"]:
        del token[each]
    token.update(value)


MEANINGS = {
    "put": put,
    "drop": drop,
    "append": append,
    "cut": cut,
    "turn": turn_round,
    "nothing": nothing,
    "replace": replace,
}


def completed(store, parts, token):
    definition = Builder().definition(parts)
    eng = DbWorkflowEngine.with_name("property", store=store, definition=definition)
    eng.process([deepcopy(token)])
    return eng, store.tokens(eng.uuid)[0].id


@given(parts=DEFINITIONS, token=TOKENS)
def test_the_past_is_what_each_task_found(store, parts, token):
    found = []
    final = deepcopy(token)
    memory = GenericWorkflowEngine()
    memory.callbacks.replace(Builder(found).definition(parts))
    memory.process([final])
    _, token_id = completed(store, parts, token)
    steps = store.history(token_id)
    encoded = [store.types.plain(store.types.dumps(each)) for each in [*found, final]]
    tasks = [step for step in steps if step.name == "mutation"]
    assert [step.before for step in tasks] == encoded[:-1]
    assert steps[-1].after == encoded[-1]
    for step in steps:
        assert (step.before == step.after) or step.changes


@given(parts=DEFINITIONS, token=TOKENS, data=st.data())
def test_going_back_and_on_leads_to_the_same_end(store, parts, token, data):
    eng, token_id = completed(store, parts, token)
    end, _ = store.token(token_id)
    steps = store.history(token_id)
    step = data.draw(st.sampled_from(steps))
    eng.rewind(token_id, step.step)
    assert store.tokens(eng.uuid)[0].plain_data == step.before
    eng.resume()
    again, _ = store.token(token_id)
    assert (again.text, again.path, again.status) == (end.text, end.path, end.status)
    repeated = [(each.path, each.name) for each in store.history(token_id)[len(steps) + 1 :]]
    assert repeated == [(each.path, each.name) for each in steps[step.step - 1 :]]


@given(parts=DEFINITIONS, token=TOKENS, data=st.data())
def test_going_back_and_forward_again_restores_everything(store, parts, token, data):
    eng, token_id = completed(store, parts, token)
    for _ in range(3):
        before, _ = store.token(token_id)
        eng.rewind(token_id, data.draw(st.integers(1, before.steps)))
        eng.rewind(token_id, before.steps + 1)
        after, _ = store.token(token_id)
        assert (after.text, after.path, after.memory) == (before.text, before.path, before.memory)
        eng.rewind(token_id, data.draw(st.integers(1, before.steps)))


@given(parts=DEFINITIONS, token=TOKENS, data=st.data())
def test_a_fork_leads_to_the_same_end_as_the_run_it_came_from(store, parts, token, data):
    eng, token_id = completed(store, parts, token)
    step = data.draw(st.sampled_from(store.history(token_id)))
    uuid = store.fork(token_id, step.step)
    fork = DbWorkflowEngine.from_uuid(uuid, store=store, definition=Builder().definition(parts))
    fork.resume()
    assert store.compare(eng.uuid, uuid).is_same
    assert store.compare(uuid, eng.uuid).is_same
