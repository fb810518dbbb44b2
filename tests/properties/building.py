"""Builds the real definition that an abstract one stands for."""

import asyncio
import random
from collections.abc import Callable
from functools import singledispatchmethod
from typing import Any

from attrs import define, field

from wfengine import errors, patterns
from wfengine.engine import GenericWorkflowEngine

from . import definitions as d
from .world import World, total

ERRORS: dict[str, type[Exception]] = {
    "ValueError": ValueError,
    "RuntimeError": RuntimeError,
    "WorkflowError": errors.WorkflowError,
}


@define
class Builder:
    """Builds definitions whose callables belong to one world.

    :param coroutines: the part of the callables that are coroutine functions.
    :param mixed: whether lists are written with tuples and with None in between.
    :param seed: decides which callables, and how they are mixed.
    """

    world: World
    coroutines: float = 0
    mixed: bool = False
    seed: int = 0
    _random: random.Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def definition(self, items: tuple[Any, ...]) -> list[Any]:
        """Return a list of elements, perhaps written in another way that means the same."""
        built = [self.build(each) for each in items]
        return self._mix(built) if self.mixed else built

    def _mix(self, built: list[Any]) -> list[Any]:
        mixed: list[Any] = []
        while built:
            taken = self._random.randrange(3)
            chunk, built = built[:taken], built[taken:]
            mixed += self._random.choice([chunk, [tuple(chunk)], [None, (tuple(chunk), None)]])
        return [*mixed, None]

    def branch(self, branch: Any) -> Any:
        """Return a branch: a list of any kind, or a single element."""
        built = self.build(branch)
        is_list = isinstance(branch, d.Nested)
        return tuple(built) if is_list and self.mixed and self._random.random() < 0.5 else built

    def operand(self, value: Any) -> Any:
        """Return a value as it is, or the callable that reads it."""
        return self.build(value) if isinstance(value, d.Node) else value

    def callable(self, call: Any, act: Callable[[Any, Any], Any]) -> Any:
        """Return a user's callable: a plain function, or a coroutine function."""
        if self._random.random() >= self.coroutines:
            act.__name__ = call.name
            return act

        async def later(obj: Any, eng: Any, *rest: Any) -> Any:
            await asyncio.sleep(0)
            return act(obj, eng, *rest)

        later.__name__ = call.name
        return later

    def arrive(self, call: Any, obj: Any, eng: Any, item: Any = None) -> Any:
        """Record the visit where the engine says it stands."""
        state = eng.state
        return self.world.arrive(call, obj, state.token_pos, state.callback_pos, item)

    @singledispatchmethod
    def build(self, node: Any) -> Any:
        """Return what a node stands for."""
        raise NotImplementedError(node)

    @build.register
    def _(self, node: d.Nested) -> Any:
        return self.definition(node.items)

    @build.register
    def _(self, node: d.Task) -> Any:
        return self.callable(node, lambda obj, eng: perform(self.arrive(node, obj, eng), eng))

    @build.register
    def _(self, node: d.Asked) -> Any:
        def asked(obj: Any, eng: Any) -> Any:
            return perform(self.arrive(node, obj, eng), eng)

        return self.callable(node, asked)

    @build.register
    def _(self, node: d.Setter) -> Any:
        def put(obj: Any, eng: Any, item: Any) -> Any:
            perform(self.arrive(node, obj, eng, item), eng)

        return self.callable(node, put)

    @build.register
    def _(self, node: d.Reading) -> Any:
        return self.callable(node, lambda obj, eng: perform(self.arrive(node, obj, eng), eng))

    @build.register
    def _(self, node: d.TaskJump) -> Any:
        return getattr(patterns, node.pattern)(node.step)

    @build.register
    def _(self, node: d.TaskJumpIf) -> Any:
        return patterns.TASK_JUMP_IF(self.build(node.condition), node.step)

    @build.register
    def _(self, node: d.Break) -> Any:
        return patterns.BREAK(node.levels)

    @build.register
    def _(self, node: d.Stop) -> Any:
        return patterns.STOP()

    @build.register
    def _(self, node: d.Halt) -> Any:
        return patterns.HALT(self.operand(node.message), payload=self.operand(node.payload))

    @build.register
    def _(self, node: d.ObjNext) -> Any:
        return patterns.OBJ_NEXT()

    @build.register
    def _(self, node: d.ObjJump) -> Any:
        return getattr(patterns, node.pattern)(node.step)

    @build.register
    def _(self, node: d.If) -> Any:
        return getattr(patterns, node.pattern)(self.build(node.condition), self.branch(node.branch))

    @build.register
    def _(self, node: d.IfElse) -> Any:
        condition = self.build(node.condition)
        return patterns.IF_ELSE(condition, self.branch(node.branch), self.branch(node.otherwise))

    @build.register
    def _(self, node: d.Cmp) -> Any:
        return patterns.CMP(self.operand(node.left), self.operand(node.right), node.op)

    @build.register
    def _(self, node: d.While) -> Any:
        return patterns.WHILE(self.build(node.condition), self.branch(node.body))

    @build.register
    def _(self, node: d.For) -> Any:
        source = {"list": list, "tuple": tuple, "range": lambda items: range(len(items))}
        items = (
            self.build(node.source)
            if isinstance(node.source, d.Reading)
            else source[node.source](node.items)
        )
        return patterns.FOR(
            items,
            self.operand(node.setter),
            self.branch(node.body),
            cache_data=node.cache_data,
            order=node.order,
        )

    @build.register
    def _(self, node: d.Choice) -> Any:
        arbiter = self.build(node.arbiter)
        pairs = [(key, self.branch(branch)) for key, branch in node.branches]
        default = None if node.default is None else self.branch(node.default)
        if node.by_keyword:
            return patterns.CHOICE(arbiter, default=default, **dict(pairs))
        return patterns.CHOICE(arbiter, *pairs, default=default)

    @build.register
    def _(self, node: d.Merge) -> Any:
        return patterns.SIMPLE_MERGE(*map(self.branch, node.branches))

    @build.register
    def _(self, node: d.Synchronize) -> Any:
        return patterns.SYNCHRONIZE(*map(self.branch, node.branches), self.branch(node.last))

    @build.register
    def _(self, node: d.Parallel) -> Any:
        return patterns.PARALLEL_SPLIT(*map(self.branch, node.branches), wait=True)

    @build.register
    def _(self, node: d.RunWf) -> Any:
        connector = node.connector and self.callable(
            node.connector, lambda obj, eng: self._parts(node.connector, obj, eng)
        )
        engine = GenericWorkflowEngine if node.own_engine else None
        return patterns.RUN_WF(self.branch(node.body), connector, engine)

    def _parts(self, connector: Any, obj: Any, eng: Any) -> Any:
        perform(self.arrive(connector, obj, eng), eng)
        return obj["parts"]

    @build.register
    def _(self, node: d.Try) -> Any:
        onfailure = node.onfailure
        if isinstance(onfailure, d.Raised):
            onfailure = LookupError(onfailure.message) if onfailure.message else LookupError
        elif onfailure is not None:
            onfailure = self.branch(onfailure)
        return patterns.TRY(self.branch(node.body), node.retry, onfailure)

    @build.register
    def _(self, node: d.EngSet) -> Any:
        return patterns.ENG_SET(node.key, self.operand(node.value))

    @build.register
    def _(self, node: d.EngGet) -> Any:
        return patterns.ENG_GET(node.key, node.default)

    @build.register
    def _(self, node: d.ObjSet) -> Any:
        return patterns.OBJ_SET(node.key, self.operand(node.value))

    @build.register
    def _(self, node: d.ObjGet) -> Any:
        return patterns.OBJ_GET(node.key, node.cond)

    @build.register
    def _(self, node: d.Error) -> Any:
        return patterns.ERROR(node.message)

    @build.register
    def _(self, node: d.CallFunc) -> Any:
        return patterns.CALLFUNC(
            total,
            node.outkey,
            args=node.args,
            oeargs=[self.build(each) for each in node.oeargs],
            ekeys={"from_engine": node.ekey} if node.ekey else None,
            okeys={"from_token": node.okey} if node.okey else None,
            **({} if node.kwarg is None else {"fixed": node.kwarg}),
        )

    @build.register
    def _(self, node: d.Empty) -> Any:
        return patterns.EMPTY_CALL


JUNK: tuple[Any, ...] = ("text", 1, -1, True, [0], ValueError("handed over, not raised"))


def perform(act: Any, eng: Any) -> Any:
    """Do what an act says, as a user's code would; return an answer as it is."""
    if not isinstance(act, d.Act):
        return act
    if act.kind == "pass":
        return None
    if act.kind == "junk":
        return JUNK[act.number]
    if act.kind == "error":
        raise ERRORS[act.error](act.text)
    if act.how == "method":
        return METHODS[act.kind](eng, act)
    transition = TRANSITIONS[act.kind](act)
    if act.how == "raised":
        raise transition
    return transition


METHODS: dict[str, Callable[[Any, d.Act], Any]] = {
    "stop": lambda eng, act: eng.stop(),
    "abort": lambda eng, act: eng.abort(),
    "skip": lambda eng, act: eng.skip_token(),
    "next": lambda eng, act: eng.continue_next_token(),
    "halt": lambda eng, act: eng.halt(act.text),
    "jump_token": lambda eng, act: eng.jump_token(act.number),
    "jump_call": lambda eng, act: eng.jump_call(act.number, act.levels),
    "break": lambda eng, act: eng.break_current_loop(act.levels),
}

TRANSITIONS: dict[str, Callable[[d.Act], Exception]] = {
    "stop": lambda act: errors.StopProcessing(),
    "abort": lambda act: errors.AbortProcessing(),
    "skip": lambda act: errors.SkipToken(),
    "next": lambda act: errors.ContinueNextToken(),
    "halt": lambda act: errors.HaltProcessing(act.text),
    "jump_token": lambda act: errors.JumpToken(act.number),
    "jump_call": lambda act: errors.JumpCall(act.number, act.levels),
    "break": lambda act: errors.BreakFromThisLoop(act.levels),
}
