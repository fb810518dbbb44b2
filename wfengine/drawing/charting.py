"""From a definition's outline to its chart."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice

from attrs import define, evolve, field, frozen

from wfengine.callbacks import Definition
from wfengine.definitions.outline import SEQUENCE, OutlineNode
from wfengine.description import Need
from wfengine.drawing.chart import Arrow, Chart, Close, Frame, Shape
from wfengine.drawing.folding import Folding, steps_of
from wfengine.drawing.states import NodeState, together
from wfengine.drawing.texts import shown

__all__ = ["chart_of"]

BESIDE = re.compile(r"\d+ \(")
"""How the labels of branches begin that are only numbered."""


@frozen
class _Tail:
    """The end of a way that leads to whatever is drawn next.

    :param shape: from which it comes.
    """

    shape: str
    label: str = ""
    kind: str = "way"


@define(eq=False)
class _Around:
    """A list whose steps are being drawn.

    :param entries: the shape that each element of it begins with.
    :param leaving: the ways that leave it before its end.
    :param jumps: ways that lead to one of its elements.
    """

    entries: dict[int, str] = field(factory=dict)
    leaving: list[_Tail] = field(factory=list)
    jumps: list[tuple[_Tail, int]] = field(factory=list)


def chart_of(folding: Folding, state: Mapping[str, NodeState]) -> Chart:
    """Return the chart of a definition.

    :param state: by the ids of nodes that there are.
    """
    return _Charting(folding, state).chart()


@define(eq=False)
class _Charting:
    folding: Folding
    state: Mapping[str, NodeState]
    _chart: Chart = field(init=False, factory=Chart)
    _around: list[_Around] = field(init=False, factory=list)
    _count: int = field(init=False, default=0)
    _last: str = field(init=False, default="")

    def chart(self) -> Chart:
        """Draw everything."""
        start = self._put("start", (), hint="begin")
        ends = self._list(self.folding.tree, [_Tail(start)])
        if ends:
            self._put("finish", ends, hint="end")
        return self._chart

    # Shapes, arrows and frames

    def _put(
        self,
        kind: str,
        tails: Iterable[_Tail],
        title: str = "",
        note: str = "",
        node: OutlineNode | None = None,
        hint: str = "",
        stands_for: Iterable[OutlineNode] | None = None,
    ) -> str:
        """Draw a shape and the ways to it; return its name."""
        name, tails = f"n{self._count}", list(tails)
        self._count += 1
        nodes = stands_for if stands_for is not None else [node] if node else []
        states = self._states(nodes)
        self._chart.items.append(
            Shape(
                name,
                kind,
                title,
                note,
                node.id if node else "",
                hint or (_hint(node) if node else ""),
                together(states) if states else None,
                is_reached=bool(tails) or kind == "start",
            )
        )
        for tail in tails:
            self._lead(tail, name)
        if not tails and self._last:
            self._chart.arrows.append(Arrow(self._last, name, kind="order"))
        self._last = name
        return name

    def _states(self, nodes: Iterable[OutlineNode]) -> list[NodeState]:
        if not self.state:
            return []
        return [self.state[node.id] for node in nodes if node.id in self.state]

    def _lead(self, tail: _Tail, head: str, kind: str = "") -> None:
        self._chart.arrows.append(Arrow(tail.shape, head, tail.label, kind or tail.kind))

    @contextmanager
    def _frame(self, kind: str, title: str = "", node: OutlineNode | None = None) -> Iterator[None]:
        name = f"f{len(self._chart.items)}"
        self._chart.items.append(Frame(name, kind, title, node.id if node else ""))
        yield
        self._chart.items.append(Close())

    # Lists

    @contextmanager
    def _inside(self) -> Iterator[_Around]:
        """Enter a list, to which jumps and breaks refer."""
        self._around.append(_Around())
        yield self._around[-1]
        self._around.pop()

    @contextmanager
    def _own_engine(self) -> Iterator[None]:
        """Enter what runs by itself: no break in it leads out."""
        around, self._around = self._around, []
        yield
        self._around = around

    def _list(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        """Draw a list; return the ways that lead on from it."""
        with self._inside() as around:
            tails = self._steps(node, tails, around)
            return [*tails, *self._leave(around)]

    def _steps(self, node: OutlineNode, tails: list[_Tail], around: _Around) -> list[_Tail]:
        for step in self.folding.shown_of(node):
            tails = self._entered(step, around, tails, self._step)
        hidden = self.folding.hidden_of(node)
        if hidden:
            before = self._count
            tails = self._several(hidden, tails, bool(self.folding.shown_of(node)))
            around.entries.update((each.position[-1], f"n{before}") for each in hidden)
        return tails

    def _entered(
        self,
        step: OutlineNode,
        around: _Around,
        tails: list[_Tail],
        draw: Callable[[OutlineNode, list[_Tail]], list[_Tail]],
    ) -> list[_Tail]:
        """Draw an element of a list, and remember the shape that it begins with."""
        before = self._count
        tails = draw(step, tails)
        if self._count > before:
            around.entries[step.position[-1] if step.position else 0] = f"n{before}"
        return tails

    def _leave(self, around: _Around) -> list[_Tail]:
        """Lead the jumps of a list to where they go; return the ways that leave it."""
        leaving = list(around.leaving)
        for tail, target in around.jumps:
            goal = min((index for index in around.entries if index >= target), default=None)
            if goal is None:
                leaving.append(tail)
            else:
                self._lead(tail, around.entries[goal])
        return leaving

    # Steps

    def _step(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        draw = DRAWN_BY.get(node.kind)
        if node.children and steps_of(node) and not self.folding.is_open(node):
            return self._collapsed(node, tails)
        if draw is not None:
            return draw(self, node, tails)
        if isinstance(node.task, Definition):
            return self._plain_list(node, tails)
        return self._beside(node, tails) if steps_of(node) else self._box(node, tails)

    def _box(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        is_task = node.kind == "task"
        title = node.label or node.kind
        note = "" if is_task or title == node.kind else node.kind
        kind = "task" if is_task else "pattern"
        return [_Tail(self._put(kind, tails, title, note, node))]

    def _collapsed(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        count = _tasks(self.folding.tasks[id(node)])
        if node.kind == SEQUENCE:
            title, note = "list", count
        else:
            title, note = f"{node.kind} {node.label}".strip(), f"{count} inside"
        name = self._put("collapsed", tails, title, note, node, stands_for=node.walk())
        return [_Tail(name)]

    def _several(
        self, nodes: Iterable[OutlineNode], tails: list[_Tail], is_rest: bool
    ) -> list[_Tail]:
        """Draw the rest of a list as one shape."""
        nodes = list(nodes)
        count = sum(self.folding.tasks[id(node)] for node in nodes)
        inside = (each for node in nodes for each in node.walk())
        title = f"{_tasks(count, 'more' if is_rest else '')}"
        hint = f"{shown(nodes[0].path)} ... {shown(nodes[-1].path)}"
        name = self._put("collapsed", tails, title, "", nodes[0], hint, stands_for=inside)
        return [_Tail(name)]

    def _plain_list(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        with self._frame("list", "" if node.kind == SEQUENCE else node.kind, node):
            return self._list(node, tails)

    def _if(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        name = self._put("condition", tails, node.label or node.kind, node=node)
        out: list[_Tail] = []
        with self._inside() as around:
            for branch in steps_of(node):
                label = _answer(node, branch)
                out += self._list(branch, [_Tail(name, label)])
            if node.kind in ("IF", "IF_NOT"):
                out.append(_Tail(name, "no" if node.kind == "IF" else "yes"))
            return [*out, *self._leave(around)]

    def _while(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        return self._loop(node, tails, "condition", "while", "yes", "no")

    def _for(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        return self._loop(node, tails, "loop", "for each", "", "done")

    def _loop(
        self, node: OutlineNode, tails: list[_Tail], kind: str, note: str, each: str, after: str
    ) -> list[_Tail]:
        with self._frame("loop"), self._inside() as around:
            head = self._put(kind, tails, node.label, note, node)
            around.entries[0] = head
            for tail in self._steps(node, [_Tail(head, each)], around):
                self._lead(tail, head, kind="back" if tail.kind == "way" else tail.kind)
            return [_Tail(head, after), *self._leave(around)]

    def _try(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        body, *instead = steps_of(node)
        attempts = node.options.get("retry", 0) + 1
        note = "once" if attempts == 1 else f"up to {attempts:,} attempts"
        with self._frame("try"), self._inside() as around:
            head = self._put("try", tails, "TRY", note, node)
            out = self._list(body, [_Tail(head)])
            for each in instead:
                out += self._list(each, [_Tail(head, "on failure", "failure")])
            return [*out, *self._leave(around)]

    def _split(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        head = self._put("fork", tails, "in parallel", "nobody waits", node)
        for branch in steps_of(node):
            self._branch(branch, [_Tail(head, kind="aside")])
        return [_Tail(head)]

    def _beside(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        """Draw the branches of a pattern of which no more is known."""
        head = self._put("fork", tails, node.label or node.kind, node.kind, node)
        out: list[_Tail] = []
        for branch in steps_of(node):
            out += self._branch(branch, [_Tail(head)])
        return [_Tail(self._put("join", out or [_Tail(head)], hint="all have ended"))]

    def _graph(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        """Draw elements that wait for each other, and what each of them waits for."""
        head = self._put("fork", tails, node.label, node.kind, node)
        begins: dict[str, str] = {}
        ends: dict[str, list[_Tail]] = {}
        late: list[tuple[Need, str]] = []
        for branch in _in_order(steps_of(node)):
            known = [need for need in branch.needs if need.label in begins]
            ways = [way for need in known for way in _ways(need, begins, ends)]
            first = f"n{self._count}"
            ends[branch.label] = self._named(branch, ways or [_Tail(head)])
            begins[branch.label] = first
            late += ((need, first) for need in branch.needs if need not in known)
        for need, first in late:
            for way in _ways(need, begins, ends):
                self._lead(way, first)
        awaited = {
            need.label
            for branch in steps_of(node)
            for need in branch.needs
            if _is_end(need) and not need.is_choice
        }
        last = [way for label, ways in ends.items() if label not in awaited for way in ways]
        return [_Tail(self._put("join", last or [_Tail(head)], hint="all have ended"))]

    def _synchronize(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        head = self._put("fork", tails, "in parallel", node=node)
        out: list[_Tail] = []
        *branches, last = steps_of(node)
        for branch in branches:
            out += self._branch(branch, [_Tail(head)])
        join = self._put("join", out or [_Tail(head)], hint="all have ended")
        with self._inside() as around:
            tails = self._entered(last, around, [_Tail(join)], self._element)
            return [*tails, *self._leave(around)]

    def _element(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        """Draw an element that may be a list which needs no frame of its own."""
        return self._list(node, tails) if node.kind == SEQUENCE else self._step(node, tails)

    def _branch(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        title = "" if BESIDE.match(node.label) else node.label
        with self._own_engine(), self._frame("branch", shown(title, 40), node):
            return self._list(node, tails)

    def _named(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        """Draw a branch that has a name; a single task of that name needs no frame."""
        if [(step.kind, step.label) for step in node.children] != [("task", node.label)]:
            return self._branch(node, tails)
        with self._own_engine():
            return self._list(node, tails)

    def _run_inside(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        with self._frame("inside"), self._own_engine():
            head = self._put("call", tails, node.kind, node=node)
            tails = [_Tail(head)]
            for inner in steps_of(node):
                tails = self._list(inner, tails)
            return tails

    def _merge(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        """Draw ways that meet; each may hand over to the next."""
        *branches, last = steps_of(node)
        ends: list[_Tail] = []
        with self._frame("list"), self._inside() as around:
            for branch in branches:
                before = self._count
                ends += self._entered(branch, around, tails, self._element)
                tails = [_Tail(f"n{before}", kind="handover")]
            tails = self._entered(last, around, ends, self._element)
            return [*tails, *self._leave(around)]

    def _halt(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        action, message = (node.options.get(name) or "" for name in ("action", "message"))
        title = str(action) or "HALT"
        note = str(message) or ("HALT" if action else "")
        return [_Tail(self._put("halt", tails, title, note, node), kind="resumed")]

    def _end(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        self._put("end", tails, _goes_to(node), node.kind, node)
        return []

    def _error(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        self._put("error", tails, node.label or "ERROR", "ERROR", node)
        return []

    def _break(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        name = self._put("jump", tails, "BREAK", node=node)
        levels = min(node.options["levels"], len(self._around))
        self._around[-levels].leaving.append(_Tail(name, kind="jump"))
        return []

    def _jump(self, node: OutlineNode, tails: list[_Tail]) -> list[_Tail]:
        step = node.options["step"]
        is_asking = node.kind == "TASK_JUMP_IF"
        asked = next((child.label for child in node.children if child.is_asked), node.kind)
        kind, title = ("condition", asked) if is_asking else ("jump", f"jump {step:+,}")
        name = self._put(kind, tails, title, "jump if" if is_asking else "", node)
        target = max(node.position[-1] + step, 0)
        self._around[-1].jumps.append((_Tail(name, "yes" if is_asking else "", "jump"), target))
        return [_Tail(name, "no")] if is_asking else []


WAITED_FOR = {
    "ready": ("when ready", "aside"),
    "active": ("when begun", "aside"),
    "success": ("", "way"),
    "failure": ("on failure", "failure"),
    "complete": ("in any case", "way"),
}
"""How the ways between the elements of a graph are labelled and drawn."""

DRAWN_BY: dict[str, Callable[[_Charting, OutlineNode, list[_Tail]], list[_Tail]]] = {
    "IF": _Charting._if,
    "IF_NOT": _Charting._if,
    "IF_ELSE": _Charting._if,
    "CHOICE": _Charting._if,
    "WHILE": _Charting._while,
    "FOR": _Charting._for,
    "TRY": _Charting._try,
    "GRAPH": _Charting._graph,
    "PARALLEL_SPLIT": _Charting._split,
    "SYNCHRONIZE": _Charting._synchronize,
    "RUN_WF": _Charting._run_inside,
    "PROFILE": _Charting._run_inside,
    "SIMPLE_MERGE": _Charting._merge,
    "HALT": _Charting._halt,
    "STOP": _Charting._end,
    "OBJ_NEXT": _Charting._end,
    "OBJ_JUMP_FWD": _Charting._end,
    "OBJ_JUMP_BWD": _Charting._end,
    "ERROR": _Charting._error,
    "BREAK": _Charting._break,
    "TASK_JUMP_FWD": _Charting._jump,
    "TASK_JUMP_BWD": _Charting._jump,
    "TASK_JUMP_IF": _Charting._jump,
}


def _answer(node: OutlineNode, branch: OutlineNode) -> str:
    """Return for which answer a branch is run."""
    if node.kind == "CHOICE":
        return branch.label
    is_first = branch.role == "then"
    return "yes" if is_first != (node.kind == "IF_NOT") else "no"


def _in_order(branches: list[OutlineNode]) -> list[OutlineNode]:
    """Return branches so that what another waits for comes before it, wherever that can be."""
    waiting: dict[str, list[OutlineNode]] = {}
    for branch in branches:
        for need in branch.needs:
            waiting.setdefault(need.label, []).append(branch)
    missing = {branch.label: len(branch.needs) for branch in branches}
    found: dict[str, OutlineNode] = {}
    ready = deque(branch for branch in branches if not branch.needs)
    while ready:
        branch = ready.popleft()
        found[branch.label] = branch
        for other in waiting.get(branch.label, ()):
            missing[other.label] -= 1
            if not missing[other.label]:
                ready.append(other)
        if not ready:  # what waits for one of several may come before another of these
            begun = (
                each
                for each in branches
                if each.label not in found and missing[each.label] < len(each.needs)
            )
            ready.extend(islice(begun, 1))
    return list(found.values())


def _is_end(need: Need) -> bool:
    """Return whether a need is for the end of a branch that did not fail."""
    return need.event in ("success", "complete")


def _ways(need: Need, begins: dict[str, str], ends: dict[str, list[_Tail]]) -> list[_Tail]:
    """Return the ways that lead on from a branch to one that waits for it.

    :param begins: the shape that each branch begins with.
    :param ends: the ways that lead on from the end of each.
    """
    label, kind = WAITED_FOR[need.event]
    label = " ".join(filter(None, ("or" if need.is_choice else "", label)))
    if not _is_end(need):
        return [_Tail(begins[need.label], label, kind)]
    return [evolve(end, label=label or end.label) for end in ends[need.label]]


def _goes_to(node: OutlineNode) -> str:
    step = node.options.get("step", 1)
    tokens = "token" if abs(step) == 1 else "tokens"
    if node.kind == "STOP":
        return "end of the run"
    if node.kind == "OBJ_NEXT":
        return "next token"
    return f"{abs(step):,} {tokens} {'on' if step > 0 else 'back'}"


def _tasks(count: int, more: str = "") -> str:
    return " ".join(filter(None, (f"{count:,}", more, "task" if count == 1 else "tasks")))


def _hint(node: OutlineNode) -> str:
    """Return a node's path and what is known of its task."""
    return shown(" - ".join(filter(None, (node.path, node.doc))))
