"""What Hypothesis builds definitions from.

A definition is drawn with a temper: which of the things that tasks can do are frequent in it.
Runs end: a script does something else than to go on only a few times for each token.
"""

from functools import cache
from typing import Any

from hypothesis import strategies as st

from . import definitions as d
from .running import Case, Way

KEYS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(-2, 3)
HOWS = st.sampled_from(["method", "raised", "value"])
MESSAGES = st.sampled_from(["our message", "our other message"])
ERRORS = st.sampled_from(["ValueError", "WorkflowError"])

CALM, JUMPY, FAILING, WILD = "calm", "jumpy", "failing", "wild"


def weighted(*choices: tuple[int, Any]) -> Any:
    """Return one strategy or another, each as often as its weight says."""
    tickets = [strategy for weight, strategy in choices for _ in range(weight)]
    return st.sampled_from(tickets).flatmap(lambda strategy: strategy)


PASSES = st.one_of(st.just(d.PASS), st.builds(d.Act, st.just("junk"), number=st.integers(0, 5)))


@cache
def acts(temper: str, by_value: bool = True) -> Any:
    """Return what a task does at one visit."""
    if temper == CALM:
        return PASSES
    return weighted((1, PASSES), (2 if temper == WILD else 1, steering(temper, by_value)))


@cache
def steering(temper: str, by_value: bool) -> Any:
    """Return something else than to go on."""
    how = HOWS if by_value else st.sampled_from(["method", "raised"])
    jumps = st.one_of(
        st.builds(d.Act, st.just("jump_call"), how, st.integers(-3, 4), st.integers(0, 2)),
        st.builds(d.Act, st.just("break"), how, levels=st.integers(1, 3)),
    )
    ends = st.one_of(
        st.builds(d.Act, st.sampled_from(["stop", "abort", "skip", "next"]), how),
        st.builds(d.Act, st.just("jump_token"), how, st.integers(-2, 2)),
        st.builds(d.Act, st.just("halt"), how, text=MESSAGES),
    )
    errors = st.builds(d.Act, st.just("error"), text=MESSAGES, error=ERRORS)
    return {
        JUMPY: jumps,
        FAILING: errors,
        WILD: weighted((2, jumps), (2, ends), (1, errors)),
    }[temper]


def _script(contents: Any) -> Any:
    some = st.lists(contents, min_size=1, max_size=3).map(tuple)
    return weighted((3, some), (1, st.just(())))


@cache
def tasks(temper: str) -> Any:
    """Return a plain task."""
    return st.builds(d.Task, _script(acts(temper)))


@cache
def conditions(temper: str) -> Any:
    """Return a condition that no longer holds after some visits."""
    answers = weighted((3, st.just(True)), (1, st.sampled_from([False, 0, 1, "", "x", None])))
    if temper == CALM:
        return st.builds(d.Asked, _script(answers), st.just(False))
    steers = steering(temper, by_value=False)
    return st.builds(d.Asked, _script(weighted((5, answers), (1, steers))), st.just(False))


READINGS = st.builds(d.Reading, NUMBERS)
OPERANDS = st.one_of(
    NUMBERS,
    READINGS,
    st.builds(d.EngGet, KEYS, st.one_of(st.none(), NUMBERS)),
    st.builds(d.ObjGet, KEYS),
    st.builds(
        d.ObjGet, st.lists(KEYS, max_size=2).map(tuple), st.sampled_from(["all", "any", "one"])
    ),
)
ORDERS = st.sampled_from(["eq", "==", "ne", "!=", "gt", ">", "gte", ">=", "lt", "<", "lte", "<="])
COMPARISONS = st.one_of(
    st.builds(d.Cmp, OPERANDS, OPERANDS, ORDERS),
    st.builds(
        d.Cmp, OPERANDS, st.lists(NUMBERS, max_size=3).map(tuple), st.sampled_from(["in", "not in"])
    ),
    st.builds(d.Cmp, st.lists(NUMBERS, max_size=3).map(tuple), OPERANDS, st.just("contains")),
)


@cache
def decisions(temper: str) -> Any:
    """Return any condition; one of them may hold for ever."""
    return weighted((2, conditions(temper)), (1, COMPARISONS))


VALUES = st.builds(d.EngSet, KEYS, st.one_of(NUMBERS, READINGS))
SMALL = st.one_of(
    VALUES,
    VALUES,
    st.builds(d.EngGet, KEYS),
    st.builds(d.ObjSet, KEYS, st.one_of(NUMBERS, READINGS)),
    st.builds(d.ObjGet, KEYS),
    st.builds(
        d.CallFunc,
        st.one_of(st.none(), KEYS),
        st.lists(NUMBERS, max_size=1).map(tuple),
        st.lists(READINGS, max_size=2).map(tuple),
        kwarg=st.one_of(st.none(), NUMBERS),
    ),
    st.builds(
        d.CallFunc,
        KEYS,
        oeargs=st.lists(st.builds(d.EngGet, KEYS), max_size=1).map(tuple),
        ekey=st.one_of(st.none(), KEYS),
        okey=st.one_of(st.none(), KEYS),
    ),
    st.just(d.Empty()),
)


@cache
def jumps(temper: str) -> Any:
    """Return a pattern that steers by itself, and always the same way."""
    if temper in (CALM, FAILING):
        return st.just(d.TaskJump("TASK_JUMP_FWD", 1))
    near = [
        st.builds(d.TaskJump, st.just("TASK_JUMP_FWD"), st.integers(1, 3)),
        st.builds(d.TaskJumpIf, conditions(temper), st.integers(-2, 3)),
        st.builds(d.Break, st.integers(1, 2)),
    ]
    far = [
        st.just(d.Stop()),
        st.just(d.ObjNext()),
        st.builds(d.ObjJump, st.just("OBJ_JUMP_FWD"), st.integers(1, 3)),
        st.builds(d.Halt, MESSAGES, st.one_of(st.none(), NUMBERS)),
        st.builds(d.Halt, st.builds(d.Reading, MESSAGES), st.one_of(st.none(), READINGS)),
        st.builds(d.Error, MESSAGES),
    ]
    return (
        weighted((3, st.one_of(near)), (1, st.one_of(far))) if temper == WILD else st.one_of(near)
    )


@cache
def chunks(temper: str, depth: int) -> Any:
    """Return elements that stand next to each other: one, or a jump back behind its gate."""
    steps = st.integers(1, 3)
    back = st.builds(d.TaskJump, st.just("TASK_JUMP_BWD"), steps)
    if temper == WILD:
        back = st.one_of(back, st.builds(d.ObjJump, st.just("OBJ_JUMP_BWD"), st.integers(0, 2)))
    gates = st.builds(
        d.Task, _script(st.just(d.PASS)), st.just(d.Act("jump_call", "method", number=2))
    )
    single = st.tuples(elements(temper, depth))
    if temper in (CALM, FAILING):
        return single
    return weighted((9, single), (1, st.tuples(gates, back)))


@cache
def lists(temper: str, depth: int) -> Any:
    """Return the elements of a list."""
    some = st.lists(chunks(temper, depth), min_size=1, max_size=4)
    return weighted((9, some.map(_joined)), (1, st.just(())))


def _joined(parts: Any) -> Any:
    return tuple(element for part in parts for element in part)


@cache
def branches(temper: str, depth: int) -> Any:
    """Return a single element, or a plain list."""
    return weighted((1, elements(temper, depth)), (2, st.builds(d.Nested, lists(temper, depth))))


@cache
def elements(temper: str, depth: int) -> Any:
    """Return anything that can stand in a list."""
    leaves = weighted((8, tasks(temper)), (2, SMALL), (1, jumps(temper)))
    return weighted((3, leaves), (2, st.one_of(_patterns(temper, depth - 1)))) if depth else leaves


def _patterns(temper: str, depth: int) -> list[Any]:
    branch = branches(temper, depth)
    some = st.lists(branch, min_size=1, max_size=2).map(tuple)
    return [
        st.builds(d.Nested, lists(temper, depth)),
        st.builds(d.If, st.sampled_from(["IF", "IF_NOT"]), decisions(temper), branch),
        st.builds(d.IfElse, decisions(temper), branch, branch),
        st.builds(d.While, conditions(temper), branch),
        _loops(temper, branch),
        _choices(temper, branch),
        st.builds(lambda others, last: d.Merge((*others, last)), some, branch),
        st.builds(d.Synchronize, some, branch),
        st.builds(d.RunWf, branch, st.one_of(st.none(), st.just(d.Reading())), st.booleans()),
        st.builds(d.Try, branch, st.integers(0, 2), _rescues(branch)),
        _splits(some),
    ]


def _splits(some: Any) -> Any:
    """Return a split that starts once for a token: two of a kind never run at the same time."""
    once = st.just(d.Asked((True,), False))
    return st.builds(d.If, st.just("IF"), once, st.builds(d.Parallel, some))


def _loops(temper: str, branch: Any) -> Any:
    setter = st.one_of(KEYS, st.none(), st.builds(d.Setter, _script(acts(temper, by_value=False))))
    some = st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple)
    items = weighted((6, some), (1, st.just(())))
    order = st.sampled_from(["ASC", "DSC"])
    return st.one_of(
        st.builds(d.For, st.sampled_from(["list", "tuple", "range"]), items, setter, branch, order),
        items.flatmap(
            lambda found: st.builds(
                d.For,
                st.just(d.Reading(found)),
                st.just(found),
                setter,
                branch,
                order,
                st.booleans(),
            )
        ),
    )


def _choices(temper: str, branch: Any) -> Any:
    keys = st.sampled_from(["left", "right", "nowhere"])
    arbiter = st.builds(d.Asked, _script(keys), keys)
    pairs = st.tuples(st.just("left"), branch), st.tuples(st.just("right"), branch)
    return st.builds(
        d.Choice,
        arbiter,
        st.one_of(st.tuples(pairs[0]), st.tuples(*pairs)),
        st.one_of(st.none(), branch),
        st.booleans(),
    )


def _rescues(branch: Any) -> Any:
    return st.one_of(st.none(), st.builds(d.Raised, st.sampled_from(["", "our rescue"])), branch)


@cache
def definitions(depth: int = 3) -> Any:
    """Return a definition with at least one task."""
    whole = st.sampled_from([CALM, WILD, JUMPY, WILD, FAILING, WILD]).flatmap(
        lambda temper: st.lists(chunks(temper, depth), min_size=2, max_size=6)
    )
    return whole.map(lambda parts: d.labelled(_with_a_task(_joined(parts))))


def _with_a_task(items: tuple[Any, ...]) -> tuple[Any, ...]:
    is_empty = all(isinstance(part, d.Nested) for part in d.parts_of(items))
    return (d.Task(), *items) if is_empty else items


def cases(definition: Any = None) -> Any:
    """Return a definition, a number of tokens and a policy."""
    return st.builds(
        Case,
        definitions() if definition is None else definition,
        weighted((9, st.integers(1, 3)), (1, st.just(0))),
        st.booleans(),
        st.booleans(),
    )


POINTS = ("current", "next", "prev", "first")
RESTARTS = st.tuples(st.sampled_from(POINTS), st.sampled_from(POINTS))

SEEDS = st.integers(0, 1000)
WAYS = st.builds(
    Way, asynchronous=st.booleans(), coroutines=st.sampled_from([0.5, 1, 0]), seed=SEEDS
)
