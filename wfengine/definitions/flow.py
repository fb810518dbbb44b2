"""Where a definition can go: what is never reached, and which loops are never left.

Lists are looked at from the inside out, so that of each only its own elements count, with what is
known of them: whether the way goes on after them, where they jump to, how they leave.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import define, field, frozen

from wfengine.callbacks import Definition, Shape
from wfengine.definitions.outline import DEFINITION, TASK, OutlineNode
from wfengine.definitions.problems import ERROR, NOTE, WARNING, Problem, problem_at
from wfengine.definitions.steering import constant_of, is_endless, names_in
from wfengine.description import describe

__all__ = ["JUMPS", "flow_problems"]

JUMPS = {"TASK_JUMP_FWD", "TASK_JUMP_BWD", "TASK_JUMP_IF"}

LISTS = {
    "CHOICE",
    "FOR",
    "IF",
    "IF_ELSE",
    "IF_NOT",
    "SIMPLE_MERGE",
    "SYNCHRONIZE",
    "TRY",
    "WHILE",
}
"""Patterns that are lists, and whose leads are known."""

ENDS = {
    "STOP": "STOP ends the run",
    "OBJ_NEXT": "OBJ_NEXT goes on with the next token",
    "OBJ_JUMP_FWD": "OBJ_JUMP_FWD goes on with another token",
    "OBJ_JUMP_BWD": "OBJ_JUMP_BWD goes on with another token",
    "ERROR": "ERROR raises an exception",
}
"""Patterns after which the way never goes on, and why."""

AROUND = {
    "BREAK": "BREAK leaves the list",
    "TASK_JUMP_FWD": "TASK_JUMP_FWD always jumps",
    "TASK_JUMP_BWD": "TASK_JUMP_BWD always jumps",
    "TASK_JUMP_IF": "TASK_JUMP_IF always jumps",
}
"""Patterns after which the way goes on elsewhere."""

JUMPING = {
    "JumpCall",
    "callback_pos",
    "jumpCallBack",
    "jumpCallForward",
    "jump_call",
    "restart",
    "setPosition",
}
"""Names in the code of a task that may go to another task."""

LEAVING = JUMPING | {
    "AbortProcessing",
    "BreakFromThisLoop",
    "ContinueNextToken",
    "HaltProcessing",
    "JumpToken",
    "SkipToken",
    "StopProcessing",
    "abort",
    "abortProcessing",
    "breakFromThisLoop",
    "break_current_loop",
    "continueNextToken",
    "continue_next_token",
    "halt",
    "haltProcessing",
    "jumpTokenBack",
    "jumpTokenForward",
    "jump_token",
    "skip_token",
    "stop",
    "stopProcessing",
}
"""Names in the code of a task that may leave a loop."""


@frozen
class _Way:
    """What a step does to the way.

    :param goes_on: whether what comes after it is reached.
    :param jumps: by how many elements of its list it may jump.
    :param breaks: how many lists it may leave, counted from the one that it stands in.
    :param ends: whether it may leave the definition: by a halt, the end of the run, an error.
    :param is_plain: whether there is code of a user's in it, which may raise something.
    :param jumper: a task in it whose code jumps.
    """

    goes_on: bool = True
    jumps: frozenset[int] = frozenset()
    breaks: frozenset[int] = frozenset()
    ends: bool = False
    is_plain: bool = False
    jumper: str = ""

    @property
    def leaves(self) -> bool:
        """Whether it may leave the list that it stands in."""
        return self.ends or bool(self.breaks) or bool(self.jumper)


NOTHING = _Way()


def flow_problems(tree: OutlineNode) -> Iterator[Problem]:
    """Yield what is never reached, and what is never left."""
    ways: dict[int, _Way] = {}
    known: dict[int, set[str]] = {}
    for node in reversed(list(tree.walk())):
        inside = [(child, ways.pop(id(child))) for child in node.children]
        if isinstance(node.task, Definition):
            found = _List(node, inside)
            ways[id(node)] = found.way()
            yield from found.problems()
        else:
            ways[id(node)] = _way_of_task(node, inside, known)


def _way_of_task(
    node: OutlineNode, inside: list[tuple[OutlineNode, _Way]], known: dict[int, set[str]]
) -> _Way:
    options = node.options
    if node.is_asked and constant_of(node.task) is not None:
        return NOTHING
    if node.kind in JUMPS:
        answer = _answer(node.task) if node.kind == "TASK_JUMP_IF" else True
        jumps = frozenset[int]() if answer is False else frozenset((options["step"],))
        return _Way(answer is not True, jumps=jumps)
    if node.kind == "BREAK":
        return _Way(False, breaks=frozenset((options["levels"],)))
    if node.kind in ENDS or node.kind == "HALT":
        return _Way(node.kind == "HALT", ends=True)
    names = set().union(*(_names(task, known) for task in _code_in(node)))
    return _Way(
        ends=bool(names & LEAVING) or any(way.ends for _, way in inside),
        is_plain=bool(names) or node.kind == TASK or any(way.is_plain for _, way in inside),
        jumper=node.label if node.kind == TASK and names & JUMPING else "",
    )


def _answer(pattern: Any) -> bool | None:
    """Return what the condition of a pattern always answers, if that is known."""
    description = describe(pattern)
    parts = description.parts if description else ()
    found = (constant_of(part.content) for part in parts if part.role == "condition")
    return next(found, None)


def _code_in(node: OutlineNode) -> Iterator[Any]:
    """Yield the callables whose code counts: a task, or what a pattern was given."""
    description = describe(node.task)
    if description is None:
        yield node.task
    for part in description.parts if description else ():
        if callable(part.content) and describe(part.content) is None:
            yield part.content


def _names(task: Any, known: dict[int, set[str]]) -> set[str]:
    if id(task) not in known:
        known[id(task)] = names_in(task)
    return known[id(task)]


@define(eq=False)
class _List:
    """A list under examination.

    :param inside: what is in it, with what each does to the way.
    """

    node: OutlineNode
    inside: list[tuple[OutlineNode, _Way]]
    elements: dict[int, tuple[OutlineNode, _Way]] = field(init=False)
    size: int = field(init=False)
    reached: set[int] = field(init=False)
    trapped: set[int] = field(init=False)
    _ends_normally: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.size = len(self.node.task)
        self.elements = {
            child.position[-1]: (child, way)
            for child, way in self.inside
            if not child.is_asked and child.branch == self.node.branch
        }
        self.reached = self._reached()
        self.trapped = self._trapped()

    # What is known of the whole

    def way(self) -> _Way:
        """Return what the list does to the way in the list around it."""
        inside = [way for index, way in self._ways() if index in self.reached]
        inside += [way for _, way in self._asked()]
        beside = [way for child, way in self.inside if child.branch != self.node.branch]
        levels = {level for way in inside for level in way.breaks}
        jumper = next((way.jumper for way in inside if way.jumper), "")
        is_left = self._ends_normally or 1 in levels or self._may_pass or bool(self.trapped)
        return _Way(
            goes_on=is_left or bool(jumper),
            breaks=frozenset(level - 1 for level in levels if level > 1),
            ends=any(way.ends for way in (*inside, *beside)),
            is_plain=any(way.is_plain for way in (*inside, *beside)),
            jumper=jumper,
        )

    @property
    def _may_pass(self) -> bool:
        """Whether what leads it may pass it by."""
        if self.node.kind in ("IF", "IF_NOT"):
            return _answer(self.node.task) is not (self.node.kind == "IF")
        return self._is_foreign

    # The ways inside

    @property
    def _is_foreign(self) -> bool:
        """Whether it is a pattern of a user's own, whose lead may begin it anywhere."""
        return bool(self.node.task.is_pattern) and self.node.kind not in LISTS

    @property
    def _is_choice(self) -> bool:
        return bool(self.node.task.shape is Shape.CHOICE)

    @property
    def _is_loop(self) -> bool:
        return bool(self.node.task.shape is Shape.LOOP)

    @property
    def _starts(self) -> Iterable[int]:
        is_free = self._is_choice or self._is_foreign or self.node.kind == "SIMPLE_MERGE"
        return range(self.size) if is_free else range(min(self.size, 1))

    def _ways(self) -> Iterator[tuple[int, _Way]]:
        return ((index, way) for index, (_, way) in self.elements.items())

    def _after(self, index: int) -> Iterator[int]:
        """Yield where the way goes from an element; the size of the list is its end."""
        way = self.elements[index][1] if index in self.elements else NOTHING
        for jump in way.jumps:
            yield min(max(index + jump, 0), self.size)
        if not way.goes_on:
            return
        if self._is_choice:
            yield self.size
        elif index + 1 < self.size:
            yield index + 1
        else:
            yield 0 if self._is_loop else self.size
        if self._is_loop and index == 0 and not self._is_endless:
            yield self.size

    @property
    def _is_endless(self) -> bool:
        """Whether what leads the loop never ends it."""
        if self.node.kind == "WHILE":
            return _answer(self.node.task) is True
        description = describe(self.node.task)
        parts = {part.role: part.content for part in description.parts} if description else {}
        return self.node.kind == "FOR" and is_endless(parts.get("source"))

    def _reached(self) -> set[int]:
        waiting = list(self._starts)
        reached = set(waiting)
        self._ends_normally = not waiting
        while waiting:
            for target in self._after(waiting.pop()):
                if target == self.size:
                    self._ends_normally = True
                elif target not in reached:
                    reached.add(target)
                    waiting.append(target)
        return reached

    def _trapped(self) -> set[int]:
        """Return the elements that are reached and from which there is no way out of the list."""
        before: dict[int, list[int]] = {}
        waiting = []
        for index in self.reached:
            way = self.elements[index][1] if index in self.elements else NOTHING
            targets = set(self._after(index))
            if way.leaves or self.size in targets:
                waiting.append(index)
            for target in targets:
                before.setdefault(target, []).append(index)
        free = set(waiting)
        while waiting:
            for index in before.get(waiting.pop(), ()):
                if index not in free:
                    free.add(index)
                    waiting.append(index)
        is_left_by_asking = any(way.leaves for _, way in self._asked())
        return set() if is_left_by_asking else self.reached - free

    def _asked(self) -> Iterator[tuple[OutlineNode, _Way]]:
        return ((child, way) for child, way in self.inside if child.is_asked)

    # What is wrong

    def problems(self) -> Iterator[Problem]:
        """Yield what is never reached in the list, and where it is never left."""
        if self.trapped:
            yield self._no_way_out()
        elif self.node.kind == DEFINITION:
            yield from self._no_last_token()
        yield from self._unreachable()

    def _no_way_out(self) -> Problem:
        may_raise = any(
            self.elements[index][1].is_plain for index in self.trapped if index in self.elements
        ) or any(way.is_plain for _, way in self._asked())
        node = self._turn()
        said = "the loop has no way out" if node is self.node else "it goes round without a way out"
        if may_raise:
            said += " but an exception"
        advice = "give it a condition, or a BREAK, STOP or HALT that can be reached"
        return problem_at(node, "no-way-out", WARNING if may_raise else ERROR, said, advice)

    def _no_last_token(self) -> Iterator[Problem]:
        """Yield where each token goes back to one before it, so that a run never ends."""
        reached = [self.elements[index] for index in self.reached if index in self.elements]
        backs = [node for node, _ in reached if node.kind == "OBJ_JUMP_BWD"]
        others = [way for node, way in reached if node.kind != "OBJ_JUMP_BWD"]
        if self._ends_normally or not backs or any(way.leaves for way in others):
            return
        may_raise = any(way.is_plain for way in others)
        said = "each token goes back to one before it, and so the run has no way out"
        if may_raise:
            said += " but an exception"
        advice = "go back under a condition only, with IF, or end the run with STOP"
        severity = WARNING if may_raise else ERROR
        yield problem_at(backs[0], "no-way-out", severity, said, advice)

    def _turn(self) -> OutlineNode:
        """Return what a loop without a way out is known by."""
        if self._is_loop and 0 in self.trapped:
            return self.node
        jumps = [
            self.elements[index][0]
            for index in self.trapped
            if index in self.elements and any(step <= 0 for step in self.elements[index][1].jumps)
        ]
        return max(jumps, key=lambda node: node.position[-1], default=self.node)

    def _unreachable(self) -> Iterator[Problem]:
        reached = (way for index, way in self._ways() if index in self.reached)
        jumper = next((way.jumper for way in reached if way.jumper), "")
        for before, lost in self._lost():
            yield self._never_reached(before, lost, jumper)

    def _lost(self) -> Iterator[tuple[int, list[OutlineNode]]]:
        """Yield neighbours that are not reached, and the last element before them that is."""
        before, lost = -1, list[OutlineNode]()
        for index in range(self.size):
            if index in self.reached:
                if lost:
                    yield before, lost
                before, lost = index, []
            elif index in self.elements:
                lost.append(self.elements[index][0])
        if lost:
            yield before, lost

    def _never_reached(self, before: int, lost: list[OutlineNode], jumper: str) -> Problem:
        is_one = len(lost) == 1
        said = f"{'it is' if is_one else f'it and {len(lost) - 1:,} after it are'} never reached"
        if before in self.elements:
            said += f": {_why(self.elements[before][0])}"
        if jumper:
            said += f", unless {jumper} jumps there"
        advice = "remove it, or make what comes before it conditional, with IF or TASK_JUMP_IF"
        return problem_at(lost[0], "unreachable", NOTE if jumper else ERROR, said, advice)


def _why(blocker: OutlineNode) -> str:
    reason = ENDS.get(blocker.kind) or AROUND.get(blocker.kind)
    return f"{reason} before it" if reason else f"nothing comes after {blocker.path}"
