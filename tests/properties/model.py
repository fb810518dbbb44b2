"""The reference model: what a definition means, in the plainest way that can be written down.

Lists are run by recursion, every transition is an exception, branches run one after the other, and
each pattern is laid out as the list that its documentation gives. Nothing here is fast, and nothing
is taken from the engine.

What patterns remember is kept by the position that it belongs to, and forgotten as soon as the
machine goes to a position outside of that. Where the rules do not say what happens, the model says
so: it raises :class:`Unspecified`, and nothing is required of the engine.
"""

from collections.abc import Callable, Iterable
from functools import singledispatch
from typing import Any
from unittest.mock import ANY

from attrs import define, field

from . import definitions as d
from .world import Token, World, total

STEPS = 1500

MAIN, BRANCH, APART = "main", "branch", "apart"


class Unspecified(Exception):
    """The written rules do not say what happens here."""


class Endless(Exception):
    """The run is longer than a test should be."""


class Failure(Exception):
    """A task raised an exception, known by the name of its class."""

    def __init__(self, name: str, message: str = "") -> None:
        super().__init__(name, message)
        self.name = name
        self.message = message


class Transition(Exception):
    """A task steers the machine."""


class StopProcessing(Transition):
    pass


class AbortProcessing(Transition):
    pass


class SkipToken(Transition):
    pass


class ContinueNextToken(Transition):
    pass


class HaltProcessing(Transition):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class JumpToken(Transition):
    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class JumpCall(Transition):
    def __init__(self, offset: int, levels: int = 0) -> None:
        super().__init__(offset, levels)
        self.offset = offset
        self.levels = levels


class BreakFromThisLoop(Transition):
    def __init__(self, levels: int = 1) -> None:
        super().__init__(levels)
        self.levels = levels


@define
class Step:
    """A task: what it does to the machine. Only a user's own task has a name.

    What it returns counts only for the lead of a list.
    """

    act: Callable[["Machine"], Any]
    name: str = ""


@define
class Steps:
    """A list of steps.

    :param lead: asked at the list's own position for the index at which to enter it, or None to
        pass it by; a plain list has none.
    :param is_loop: whether the list starts over when it has come to its end.
    :param is_choice: whether only that element is run at which the list was entered.
    :param is_attempt: whether a failure in its first element is a matter of the lead.
    """

    items: list[Any]
    lead: Step | None = None
    is_loop: bool = False
    is_choice: bool = False
    is_attempt: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is no step to run at all."""
        inside = (isinstance(each, Steps) and each.is_empty for each in self.items)
        return self.lead is None and all(inside)


BEGIN = Step(lambda machine: 0)


@define(eq=False)
class Machine:
    """Runs a definition, and remembers everything that can be observed.

    :param watched: the position of every task that was run, one after the other, and the kind of
        the machine that ran it: the main one, a branch, or one of its own kind.
    """

    definition: Steps
    world: World
    extra_data: dict[str, Any] = field(factory=dict)
    watched: list[tuple[str, tuple[int, ...]]] = field(factory=list)
    kind: str = MAIN
    token_pos: int = -1
    position: list[int] = field(factory=lambda: [0])
    token: Any = None
    memory: dict[tuple[int, ...], Any] = field(factory=dict)
    written: list[str] = field(factory=list)
    run_signals: list[str] = field(factory=list)
    task_signals: list[Any] = field(factory=list)
    came_out_beside: list[Exception] = field(factory=list)
    was_cut_off: bool = False
    is_done: bool = False

    # The loop over the tokens.

    def process(self, tokens: list[Token], **policy: bool) -> None:
        """Push tokens through the definition."""
        self.token_pos, self.position = -1, [0]
        self._run(tokens, **policy)

    def restart(self, obj: str, task: str, tokens: list[Token], **policy: bool) -> None:
        """Go on at a token and a task relative to the position."""
        *outer, index = self.position
        found = {"prev": self.token_pos - 1, "next": self.token_pos + 1, "first": 0}
        places = {"prev": [*outer, max(index - 1, 0)], "next": [*outer, index + 1], "first": [0]}
        token_pos, position = found.get(obj, self.token_pos), places.get(task, self.position)
        token_pos = max(token_pos, 0)
        is_same = (token_pos, position) == (self.token_pos, self.position)
        if is_same and (obj, task) != ("current", "current") and self.memory:
            raise Unspecified("whether this is the current task, or the same one anew")
        if task == "first" or token_pos != self.token_pos:
            self.memory = {}
        elif position != self.position:
            self.memory.pop(tuple(self.position), None)
        self.token_pos = token_pos - 1
        self._run(tokens, position, **policy)

    def go_on(self, tokens: list[Token]) -> None:
        """Run a branch, from where it stands if it has been cut off before."""
        start = None
        if self.was_cut_off:
            self.token_pos -= 1
            start = self.position
        self.was_cut_off = True
        self._run(tokens, start)
        self.is_done = True

    def _run(  # noqa: C901 - one rule after the other
        self,
        tokens: list[Token],
        start: list[int] | None = None,
        stop_on_error: bool = True,
        stop_on_halt: bool = True,
    ) -> None:
        self.run_signals.append("workflow_started")
        while self.token_pos < len(tokens) - 1:
            self.token_pos += 1
            self.token = tokens[self.token_pos]
            if start is None:
                self.memory = {}
            self.position, start = start or [0], None
            self.task_signals.append(("token_started", self.token["id"]))
            try:
                self._run_token()
            except (StopProcessing, AbortProcessing):
                self._left("STOPPED")
                break
            except (SkipToken, ContinueNextToken):
                self._left("SKIPPED")
            except JumpToken as jump:
                self._left("JUMPED")
                self.token_pos = min(max(self.token_pos + jump.offset, 0), len(tokens)) - 1
            except HaltProcessing:
                self._left("HALTED")
                self.run_signals.append("workflow_halted")
                if stop_on_halt:
                    raise
            except Failure:
                self._left("FAILED")
                self.run_signals.append("workflow_error")
                if stop_on_error:
                    raise
            else:
                self._left("COMPLETED")
        self.run_signals.append("workflow_finished")

    def _left(self, outcome: str) -> None:
        self.task_signals.append(("token_finished", self.token["id"], outcome))

    def _run_token(self) -> None:
        self.came_out_beside = []
        ended_by: Transition | Failure | None = None
        try:
            self._run_definition()
        except (Transition, Failure) as reason:
            ended_by = reason
        if isinstance(ended_by, HaltProcessing | Failure) and self.came_out_beside:
            raise Unspecified("two reasons why a token comes to its end")
        raise_together(self.came_out_beside or ([ended_by] if ended_by else []))

    def _run_definition(self) -> None:
        try:
            self._run_list(self.definition, [], self.position)
        except BreakFromThisLoop:
            pass
        except JumpCall:
            raise Unspecified("a jump that counts in a list outside of the definition") from None
        self.position = [len(self.definition.items)]

    # The lists.

    def _run_list(self, steps: Steps, path: list[int], start: list[int]) -> None:
        """Run a list from a position inside it."""
        index, inside = start[0], start[1:]
        while True:
            if steps.is_loop and index >= len(steps.items):
                index = 0
            if index >= len(steps.items):
                return
            following = self._index_after(steps, path, index, inside)
            if following is None:
                return
            index, inside = following, []
            self.memory.pop((*path, index), None)

    def _index_after(
        self, steps: Steps, path: list[int], index: int, inside: list[int]
    ) -> int | None:
        """Run one element; returns where to go on, or None to leave the list."""
        try:
            self._run_element(steps.items[index], [*path, index], inside)
        except JumpCall as jump:
            if jump.levels:
                raise JumpCall(jump.offset, jump.levels - 1) from None
            return self._target(steps, index, jump.offset)
        except BreakFromThisLoop as leave:
            if leave.levels > 1:
                raise BreakFromThisLoop(leave.levels - 1) from None
            return None
        return None if steps.is_choice else index + 1

    def _target(self, steps: Steps, index: int, offset: int) -> int | None:
        target = max(index + offset, 0)
        if target >= len(steps.items):
            return None
        if steps.is_choice:
            raise Unspecified("a jump from one branch of a choice to a branch of it")
        return target

    def _run_element(self, element: Any, path: list[int], inside: list[int]) -> None:
        self._go_to([*path, *inside])
        if isinstance(element, Steps):
            self._run_nested(element, path, inside)
        else:
            self._run_task(element)

    def _run_nested(self, steps: Steps, path: list[int], inside: list[int]) -> None:
        """Run a list in a list, perhaps from a position inside it."""
        while True:
            start = inside or self._entrance(steps, path)
            if not start:
                return
            try:
                self._run_list(steps, path, start)
            except Failure as failure:
                if not steps.is_attempt or start[0] != 0:
                    raise
                self._recall(path)["failure"] = failure
            else:
                return
            inside = []

    def _entrance(self, steps: Steps, path: list[int]) -> list[int]:
        self._go_to(path)
        index = self._run_task(steps.lead) if steps.lead else 0
        return [] if index is None else [index]

    def _run_task(self, step: Step) -> Any:
        self.watched.append((self.kind, tuple(self.position)))
        if len(self.watched) > STEPS:
            raise Endless
        signal = (step.name, *self.position)
        self.task_signals.append(("task_started", signal, None))
        try:
            found = step.act(self)
        except Transition as transition:
            name = type(transition).__name__ if step.name else ANY
            self.task_signals.append(("task_finished", signal, name))
            raise
        except Failure as failure:
            self.task_signals.append(("task_failed", signal, failure.name))
            raise
        self.task_signals.append(("task_finished", signal, None if step.name else ANY))
        return found

    # What patterns remember, by the position that it belongs to.

    def _go_to(self, position: list[int]) -> None:
        self.position = position
        self.memory = {
            place: memory
            for place, memory in self.memory.items()
            if list(place) == position[: len(place)]
        }

    def _recall(self, path: Iterable[int]) -> Any:
        memory = self.memory.get(tuple(path))
        if memory is None:
            raise Unspecified("a pattern that has not been entered by its lead")
        return memory

    def remembered(self, begin: Callable[[], Any], of_list: bool = False) -> Any:
        """Return what the current task or lead, or its list, remembers; if nothing, begin."""
        place = tuple(self.position[:-1] if of_list else self.position)
        if place not in self.memory:
            self.memory[place] = begin()
        return self.memory[place]

    def forget(self) -> None:
        """Forget what the current task or lead remembers."""
        self.memory.pop(tuple(self.position), None)

    def put(self, key: str, value: Any) -> None:
        """Write a key of ``extra_data``."""
        self.extra_data[key] = value
        self.written.append(key)

    # Branches.

    def child(self, definition: Steps, kind: str = BRANCH) -> "Machine":
        """Return a machine for a branch, which starts with a copy of ``extra_data``."""
        if definition.is_empty:
            raise Unspecified("a branch without any task")
        kind = APART if self.kind == APART else kind
        return Machine(definition, self.world, dict(self.extra_data), self.watched, kind)

    def take_over(self, child: "Machine") -> None:
        """Write what a branch has written, now that it has come to its end."""
        for key in child.written:
            self.put(key, child.extra_data[key])

    def arrive(self, call: Any, item: Any = None) -> Any:
        """Run a user's callable; returns its answer, or raises what it raises or hands over."""
        return perform(self.world.arrive(call, self.token, self.token_pos, self.position, item))


def perform(act: Any) -> Any:
    """Do what an act says."""
    if not isinstance(act, d.Act):
        return act
    if act.kind in ("pass", "junk"):
        return None
    if act.kind == "error":
        raise Failure(act.error, act.text)
    raise TRANSITIONS[act.kind](act)


TRANSITIONS: dict[str, Callable[[d.Act], Transition]] = {
    "stop": lambda act: StopProcessing(),
    "abort": lambda act: AbortProcessing(),
    "skip": lambda act: SkipToken(),
    "next": lambda act: ContinueNextToken(),
    "halt": lambda act: HaltProcessing(act.text),
    "jump_token": lambda act: JumpToken(act.number),
    "jump_call": lambda act: JumpCall(act.number, act.levels),
    "break": lambda act: BreakFromThisLoop(act.levels),
}


def raise_together(problems: list[Exception]) -> None:
    """Raise what came out of branches: failures before halts, several failures as a group."""
    failures = [problem for problem in problems if isinstance(problem, Failure)]
    if len(failures) > 1:
        raise Failure("ExceptionGroup")
    for problem in failures or problems:
        raise problem


# What a condition or an operand is for the current token.


@singledispatch
def value_of(node: Any, machine: Machine) -> Any:
    """Return a plain value as it is."""
    return node


@value_of.register
def _(node: d.Scripted, machine: Machine) -> Any:
    return machine.arrive(node)


@value_of.register
def _(node: d.Reading, machine: Machine) -> Any:
    return machine.arrive(node)


@value_of.register
def _(node: d.EngGet, machine: Machine) -> Any:
    return machine.extra_data.get(node.key, node.default)


@value_of.register
def _(node: d.ObjGet, machine: Machine) -> Any:
    if isinstance(node.key, str):
        return machine.token.get(node.key)
    found = [machine.token[key] for key in node.key if key in machine.token]
    if not found or (node.cond == "all" and len(found) < len(node.key)):
        return None
    return found[0] if node.cond == "one" else found


@value_of.register
def _(node: d.Cmp, machine: Machine) -> Any:
    left = value_of(node.left, machine)
    right = value_of(node.right, machine)
    try:
        return COMPARISONS[node.op](left, right)
    except TypeError:
        raise Failure("TypeError") from None


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "!=": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    ">": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    ">=": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "<": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
    "<=": lambda a, b: a <= b,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
    "contains": lambda a, b: b in a,
}


# What each pattern is laid out as.


def definition(items: tuple[Any, ...]) -> Steps:
    """Return a definition laid out."""
    return Steps([lay_out(each) for each in items])


def branch_of(node: Any) -> Steps:
    """Return a branch, which may be a single element, as a list."""
    return definition(node.items if isinstance(node, d.Nested) else (node,))


def jump(offset: int) -> Step:
    """Return a step that goes somewhere else in its list."""
    return Step(lambda machine: perform(d.Act("jump_call", number=offset)))


def does(kind: str, **details: Any) -> Step:
    """Return a step that always does the same."""
    return Step(lambda machine: perform(d.Act(kind, **details)))


@singledispatch
def lay_out(node: Any) -> Any:
    """Return a node as the step, or the list of steps, that its documentation says."""
    raise NotImplementedError(node)


@lay_out.register
def _(node: d.Nested) -> Any:
    return definition(node.items)


@lay_out.register
def _(node: d.Task) -> Any:
    return Step(lambda machine: machine.arrive(node), node.name)


@lay_out.register
def _(node: d.TaskJump) -> Any:
    forward = node.pattern == "TASK_JUMP_FWD"
    return jump(abs(node.step) if forward else -abs(node.step))


@lay_out.register
def _(node: d.TaskJumpIf) -> Any:
    def act(machine: Machine) -> None:
        if value_of(node.condition, machine):
            raise JumpCall(node.step)

    return Step(act)


@lay_out.register
def _(node: d.Break) -> Any:
    return does("break", levels=node.levels)


@lay_out.register
def _(node: d.Stop) -> Any:
    return does("stop")


@lay_out.register
def _(node: d.Halt) -> Any:
    def act(machine: Machine) -> None:
        message = value_of(node.message, machine)
        value_of(node.payload, machine)
        raise HaltProcessing(message)

    return Step(act)


@lay_out.register
def _(node: d.ObjNext) -> Any:
    return does("next")


@lay_out.register
def _(node: d.ObjJump) -> Any:
    forward = node.pattern == "OBJ_JUMP_FWD"
    return does("jump_token", number=abs(node.step) if forward else -abs(node.step))


@lay_out.register
def _(node: d.If) -> Any:
    def decide(machine: Machine) -> int | None:
        holds = bool(value_of(node.condition, machine))
        return 0 if holds == (node.pattern == "IF") else None

    return Steps([branch_of(node.branch)], Step(decide), is_choice=True)


@lay_out.register
def _(node: d.IfElse) -> Any:
    def decide(machine: Machine) -> int:
        return 0 if value_of(node.condition, machine) else 1

    branches = [branch_of(node.branch), branch_of(node.otherwise)]
    return Steps(branches, Step(decide), is_choice=True)


@lay_out.register
def _(node: d.While) -> Any:
    def ask(machine: Machine) -> None:
        if not value_of(node.condition, machine):
            raise BreakFromThisLoop

    return Steps([Step(ask), *branch_of(node.body).items], is_loop=True)


@lay_out.register
def _(node: d.For) -> Any:
    def begin(machine: Machine) -> dict[str, Any]:
        if isinstance(node.source, d.Reading):
            machine.arrive(node.source)
        items = range(len(node.items)) if node.source == "range" else node.items
        return {"left": list(items) if node.order == "ASC" else list(reversed(items))}

    def next_item(machine: Machine) -> None:
        left = machine.remembered(lambda: begin(machine), of_list=True)["left"]
        if not left:
            raise BreakFromThisLoop
        if isinstance(node.setter, str):
            machine.put(node.setter, left[0])
        elif node.setter is not None:
            machine.arrive(node.setter, left[0])
        left.pop(0)

    return Steps([Step(next_item), *branch_of(node.body).items], is_loop=True)


@lay_out.register
def _(node: d.Choice) -> Any:
    keys = [key for key, _ in node.branches]
    branches = [branch for _, branch in node.branches]
    if node.default is not None:
        branches.append(node.default)

    def decide(machine: Machine) -> int:
        key = value_of(node.arbiter, machine)
        if key in keys:
            return keys.index(key)
        if node.default is None:
            raise Failure("WorkflowError")
        return len(keys)

    return Steps([branch_of(branch) for branch in branches], Step(decide), is_choice=True)


@lay_out.register
def _(node: d.Merge) -> Any:
    *others, last = node.branches
    end = 2 * len(others)
    elements = [
        element
        for place, branch in enumerate(others)
        for element in (lay_out(branch), jump(end - (2 * place + 1)))
    ]
    return Steps([*elements, lay_out(last)], BEGIN)


@lay_out.register
def _(node: d.Synchronize) -> Any:
    branches = [branch_of(branch) for branch in node.branches]

    def run(machine: Machine) -> None:
        children = machine.remembered(lambda: [machine.child(branch) for branch in branches])
        problems: list[Exception] = []
        for child in children:
            try:
                if not child.is_done:
                    child.go_on([machine.token])
            except (HaltProcessing, Failure) as problem:
                problems.append(problem)
        raise_together(problems)
        for child in children:
            machine.take_over(child)
        machine.forget()

    return Steps([Step(run), lay_out(node.last)], BEGIN)


@lay_out.register
def _(node: d.Parallel) -> Any:
    branches = [branch_of(branch) for branch in node.branches]

    def run(machine: Machine) -> None:
        if machine.came_out_beside:
            raise Unspecified("branches of two patterns fail")
        for branch in branches:
            try:
                machine.child(branch).go_on([machine.token])
            except (HaltProcessing, Failure) as problem:
                machine.came_out_beside.append(problem)

    return Step(run)


@lay_out.register
def _(node: d.RunWf) -> Any:
    body = branch_of(node.body)

    def run(machine: Machine) -> None:
        tokens = [machine.token]
        if node.connector:
            machine.arrive(node.connector)
            tokens = machine.token["parts"]
        kind = APART if node.own_engine else BRANCH
        child = machine.remembered(lambda: machine.child(body, kind))
        child.go_on(tokens)
        machine.take_over(child)
        machine.forget()

    return Step(run)


@lay_out.register
def _(node: d.Try) -> Any:
    has_tasks = isinstance(node.onfailure, d.Node) and not isinstance(node.onfailure, d.Raised)
    instead = [branch_of(node.onfailure)] if has_tasks else []

    def decide(machine: Machine) -> int:
        memory = machine.remembered(lambda: {"attempts": 0, "failure": None})
        failure = memory["failure"]
        if memory["attempts"] > node.retry:
            machine.forget()
            give_up(machine, failure, memory["attempts"])
            return 1
        memory["attempts"] += 1
        return 0

    def give_up(machine: Machine, failure: Failure, attempts: int) -> None:
        if node.onfailure is None:
            raise failure
        if isinstance(node.onfailure, d.Raised):
            raise Failure("LookupError", node.onfailure.message)
        error = {"type": failure.name, "message": failure.message, "attempts": attempts}
        machine.put("error", error)

    elements = [branch_of(node.body), *instead]
    return Steps(elements, Step(decide), is_choice=True, is_attempt=True)


@lay_out.register
def _(node: d.EngSet) -> Any:
    return Step(lambda machine: machine.put(node.key, value_of(node.value, machine)))


@lay_out.register
def _(node: d.EngGet) -> Any:
    return Step(lambda machine: None)


@lay_out.register
def _(node: d.ObjSet) -> Any:
    def act(machine: Machine) -> None:
        value = value_of(node.value, machine)
        machine.token[node.key] = value

    return Step(act)


@lay_out.register
def _(node: d.ObjGet) -> Any:
    return Step(lambda machine: None)


@lay_out.register
def _(node: d.Error) -> Any:
    return does("error", error="WorkflowError", text=node.message)


@lay_out.register
def _(node: d.CallFunc) -> Any:
    def act(machine: Machine) -> None:
        numbers = [*node.args, *(value_of(each, machine) for each in node.oeargs)]
        named = {} if node.kwarg is None else {"fixed": node.kwarg}
        if node.ekey:
            named["from_engine"] = _needed(machine.extra_data, node.ekey)
        if node.okey:
            named["from_token"] = _needed(machine.token, node.okey)
        if node.outkey:
            machine.put(node.outkey, total(*numbers, **named))

    return Step(act)


def _needed(holder: dict[str, Any], key: str) -> Any:
    if key not in holder:
        raise Failure("WorkflowError")
    return holder[key]


@lay_out.register
def _(node: d.Empty) -> Any:
    return Step(lambda machine: None)
