"""Draws the pictures of the documentation; of patterns, from what they say about themselves.

    python docs/draw_pictures.py

writes ``docs/pictures/*.svg``, the same bytes each time. A picture shows a small example of one
pattern; the numbers in it are positions, as ``eng.state.callback_pos`` has them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from draft_task import draft
from draw_flows import flow_statuses
from draw_graph import draw_graph
from drawing import (
    BACK,
    BOX_HEIGHT,
    DIAMOND_HEIGHT,
    GAP,
    SIDE,
    TURN,
    Drawing,
    Point,
    Position,
    box,
    diamond,
    dot,
    framed,
    pill,
    side_by_side,
    stacked,
    svg,
)

from wfengine import patterns
from wfengine.callbacks import task_name
from wfengine.description import Description, describe
from wfengine.patterns.graph import Node

FOLDER = Path(__file__).parent / "pictures"


# The examples: tasks that are nothing but a name, and patterns made of them.


def task_named(name: str) -> Callable[[Any, Any], None]:
    def task(obj: Any, eng: Any) -> None: ...

    task.__name__ = name
    return task


NAMES = "before after first second third last passed_over never_reached instead is_ready size"
before, after, first, second, third, last, passed_over, never_reached, instead, is_ready, size = (
    task_named(name) for name in NAMES.split()
)

EXAMPLES: dict[str, Any] = {
    "BREAK": [before, [first, patterns.BREAK(), never_reached], after],
    "CALLFUNC": patterns.CALLFUNC(len, "length", oeargs=[patterns.OBJ_GET("name")]),
    "CHOICE": [patterns.CHOICE(size, small=first, large=[second, third], default=instead)],
    "CMP": patterns.CMP(size, 10, "<"),
    "COUNT": patterns.COUNT("seen"),
    "DEBUG_CYCLE": [before, patterns.DEBUG_CYCLE(draft), after],
    "EMPTY_CALL": [before, patterns.EMPTY_CALL, after],
    "ENG_GET": patterns.ENG_GET("key"),
    "ENG_SET": patterns.ENG_SET("key", "value"),
    "ERROR": [before, patterns.ERROR("this cannot be"), never_reached],
    "FOR": [patterns.FOR(range(3), "number", [first, second])],
    "GRAPH": [
        patterns.GRAPH(
            Node("a", first),
            Node("b", [second, third]),
            Node("c", instead, requires="a"),
            Node("d", last, requires=["a", "b"]),
        )
    ],
    "HALT": [before, patterns.HALT("who is this?", action="ask"), after],
    "IF": [patterns.IF(is_ready, [first, second])],
    "IF_ELSE": [patterns.IF_ELSE(is_ready, first, [second, third])],
    "IF_NOT": [patterns.IF_NOT(is_ready, [first, second])],
    "OBJ_GET": patterns.OBJ_GET("name"),
    "OBJ_JUMP_BWD": [before, patterns.OBJ_JUMP_BWD(1), never_reached],
    "OBJ_JUMP_FWD": [before, patterns.OBJ_JUMP_FWD(2), never_reached],
    "OBJ_NEXT": [before, patterns.OBJ_NEXT(), never_reached],
    "OBJ_SET": patterns.OBJ_SET("name", "value"),
    "PARALLEL_SPLIT": [before, patterns.PARALLEL_SPLIT(first, [second, third]), after],
    "PROFILE": [before, patterns.PROFILE([first, second]), after],
    "RUN_WF": [before, patterns.RUN_WF([first, second]), after],
    "SIMPLE_MERGE": [patterns.SIMPLE_MERGE(first, second, third, last)],
    "STOP": [before, patterns.STOP(), never_reached],
    "SYNCHRONIZE": [patterns.SYNCHRONIZE(first, [second, third], last)],
    "TASK_JUMP_BWD": [first, second, patterns.TASK_JUMP_BWD(-1), never_reached],
    "TASK_JUMP_FWD": [before, patterns.TASK_JUMP_FWD(2), passed_over, after],
    "TASK_JUMP_IF": [before, patterns.TASK_JUMP_IF(is_ready, 2), passed_over, after],
    "TRY": [patterns.TRY([first, second], retry=2, onfailure=instead)],
    "WHILE": [patterns.WHILE(is_ready, [first, second])],
}


# How each kind of step is drawn.


def draw(step: Any, path: Position = ()) -> Drawing:
    """Draw a task, a pattern, or a list of them."""
    description = describe(step)
    if description is None:
        if isinstance(step, list):
            return framed(draw_list(step, path), "a list") if path else draw_list(step, path)
        return box(task_name(step), path)
    return DRAWN_BY.get(description.kind, draw_box)(step, description, path)


def draw_list(steps: Sequence[Any], path: Position = ()) -> Drawing:
    drawing, spans = stacked(draw(step, (*path, index)) for index, step in enumerate(steps))
    for index, step in enumerate(steps):
        description = describe(step)
        if description and description.kind in JUMPS:
            draw_jump(drawing, draw(step).right, index, description, spans)
    return drawing


def draw_jump(
    drawing: Drawing, start: float, index: int, jump: Description, spans: Sequence[Point]
) -> None:
    """Draw the line from a jump to where it leads: a task of its list, or the list's end."""
    middle = sum(spans[index]) / 2
    goal = index + jump.options.get("step", len(spans))
    turn = drawing.right + SIDE
    if goal < len(spans):
        drawing.line(
            (start, middle),
            (turn, middle),
            (turn, spans[goal][0] - TURN),
            (2, spans[goal][0] - TURN),
        )
    else:
        end = spans[-1][1] + TURN
        drawing.line((start, middle), (turn, middle), (turn, end), (2, end))
        drawing.line((0, spans[-1][1]), (0, end + 4), arrow=False)
    if jump.kind == "TASK_JUMP_IF":
        drawing.note(start + 6, middle - 6, "true")


def draw_box(step: Any, description: Description, path: Position) -> Drawing:
    return box(description.kind, path)


def draw_task_jump(step: Any, description: Description, path: Position) -> Drawing:
    if description.kind == "TASK_JUMP_IF":
        return diamond(task_name(description.parts[0].content), path)
    step_text = f"({description.options['step']})" if "step" in description.options else ""
    drawing = box(description.kind + step_text, path)
    drawing.ends = True
    return drawing


def draw_end(step: Any, description: Description, path: Position) -> Drawing:
    """Draw a task from which the way leaves the definition."""
    drawing = box(description.kind, path)
    middle, edge = BOX_HEIGHT / 2, drawing.right
    drawing.line((edge, middle), (edge + 2 * SIDE, middle))
    pill(drawing, edge + 2 * SIDE, middle, leads_to(description))
    drawing.ends = description.kind != "HALT"
    drawing.is_resumed = not drawing.ends
    return drawing


def leads_to(description: Description) -> str:
    if description.kind.startswith("OBJ_JUMP"):
        step = description.options["step"]
        return f"token {'+' if step > 0 else '-'} {abs(step)}"
    ends = {"STOP": "end of the run", "HALT": "the caller", "OBJ_NEXT": "next token"}
    return ends.get(description.kind, "WorkflowError")


def draw_value(step: Any, description: Description, path: Position) -> Drawing:
    """Draw a task that reads or writes: a line from or to what it reads or writes."""
    drawing = box(description.kind)
    middle, edge = BOX_HEIGHT / 2, drawing.right
    ways = (edge, middle), (edge + 2 * SIDE, middle)
    drawing.line(*(reversed(ways) if description.kind.endswith("GET") else ways))
    pill(drawing, edge + 2 * SIDE, middle, f'{HOLDERS[description.kind]}["{description.label}"]')
    return drawing


def draw_call(step: Any, description: Description, path: Position) -> Drawing:
    drawing = box(f"{description.kind}: {description.label}")
    for edge in (drawing.left + 5, drawing.right - 5):
        drawing.line((edge, 0), (edge, BOX_HEIGHT), arrow=False)
    return drawing


def draw_comparison(step: Any, description: Description, path: Position) -> Drawing:
    drawing = diamond(description.label, ())
    middle = DIAMOND_HEIGHT / 2
    drawing.line((drawing.right, middle), (drawing.right + 2 * SIDE, middle))
    drawing.note(drawing.right - 2 * SIDE + 4, middle - 6, "false")
    drawing.note(7, DIAMOND_HEIGHT + 18, "true")
    return drawing


def draw_if(step: Any, description: Description, path: Position) -> Drawing:
    question = diamond(description.label, path)
    drawing, spans = stacked([question, draw_list(step[0], (*path, 0))])
    answers = ("true", "false") if description.kind == "IF" else ("false", "true")
    drawing.note(7, spans[0][1] + 17, answers[0])
    pass_by(drawing, question, answers[1])
    return drawing


def pass_by(drawing: Drawing, question: Drawing, answer: str) -> None:
    """Draw the way from a diamond's right corner past everything below it to the end."""
    middle, turn, body = DIAMOND_HEIGHT / 2, drawing.right + SIDE, drawing.foot
    end = body + TURN
    drawing.line((question.right, middle), (turn, middle), (turn, end), (0, end), arrow=False)
    drawing.note(question.right + 4, middle - 6, answer)
    if not drawing.ends:
        drawing.line((0, body), (0, end), arrow=False)
    drawing.ends = False


def draw_choice(step: Any, description: Description, path: Position) -> Drawing:
    """Draw a diamond with the branches side by side below it."""
    answers = [part.label for part in description.parts if part.role == "key"] or ["true", "false"]
    branches = [draw_list(branch, (*path, index)) for index, branch in enumerate(step)]
    drawing = Drawing()
    foot = drawing.put(diamond(description.label, path))
    axes = side_by_side(branches)
    spread(drawing, foot, branches, axes, answers)
    gather(drawing, foot + GAP + TURN, branches, axes)
    return drawing


def spread(
    drawing: Drawing,
    top: float,
    branches: Sequence[Drawing],
    axes: Sequence[float],
    answers: Sequence[str],
) -> None:
    """Draw branches, and the ways from one point to each."""
    for branch, axis, answer in zip(branches, axes, answers, strict=True):
        head = top + GAP + TURN
        drawing.line((0, top), (0, top + TURN), (axis, top + TURN), (axis, head))
        drawing.note(axis + 7, head - 9, answer)
        drawing.put(branch, axis, head)


def gather(
    drawing: Drawing, top: float, branches: Sequence[Drawing], axes: Sequence[float]
) -> None:
    """Draw the ways from the ends of branches to one point."""
    end = drawing.foot + TURN
    for branch, axis in zip(branches, axes, strict=True):
        drawing.line((axis, top + branch.foot), (axis, end), (0, end), arrow=False)


def draw_merge(step: Any, description: Description, path: Position) -> Drawing:
    drawing = Drawing()
    start = drawing.put(dot(path))
    places = [index for index, role in enumerate(description.roles) if role == "branch"]
    branches = [
        stacked([draw(step[index], (*path, index)), dot((*path, index + 1))])[0] for index in places
    ]
    axes = [3 * axis / 2 for axis in side_by_side(branches)]
    head, middle = start + GAP + TURN, start + GAP + TURN + BOX_HEIGHT / 2
    drawing.line((0, start), (0, start + TURN), (axes[0], start + TURN), (axes[0], head))
    for place, (branch, axis) in enumerate(zip(branches, axes, strict=True)):
        drawing.put(branch, axis, head)
        if place:
            edge = axes[place - 1] + branches[place - 1].right
            drawing.line((edge, middle), (axis + branch.left, middle), later=True)
            drawing.note((edge + axis + branch.left) / 2 - 34, middle - 7, "jump_call(2)")
    gather(drawing, head, branches, axes)
    return then_last(drawing, draw(step[-1], (*path, len(step) - 1)))


def then_last(drawing: Drawing, part: Drawing) -> Drawing:
    foot = drawing.foot
    drawing.line((0, foot), (0, foot + GAP))
    drawing.put(part, 0, foot + GAP)
    return drawing


def draw_loop(step: Any, description: Description, path: Position) -> Drawing:
    question = diamond(description.label, (*path, 0))
    body = [draw(each, (*path, index)) for index, each in enumerate(step) if index]
    answers = ("true", "false") if description.kind == "WHILE" else ("next item", "no more")
    loop, spans = stacked([question, *body])
    loop.note(7, spans[0][1] + 17, answers[0])
    turn, end = loop.left - SIDE, loop.foot
    loop.line((0, end), (0, end + TURN), (turn, end + TURN), (turn, -BACK), (-2, -BACK))
    loop.ends = True
    pass_by(loop, question, answers[1])
    return loop


def draw_inside(step: Any, description: Description, path: Position) -> Drawing:
    """Draw a task with a definition inside, which has positions of its own."""
    return framed(draw_list(description.parts[0].content), description.kind, path)


def draw_branches(description: Description) -> list[Drawing]:
    return [
        framed(draw_list(part.content), f"branch {number}")
        for number, part in enumerate(description.parts)
        if part.role == "branch"
    ]


def draw_bar(drawing: Drawing, axes: Sequence[float], top: float) -> None:
    drawing.rectangle("bar", min(axes) - SIDE, top, max(axes) + SIDE, top + 5, corner=2)


def draw_split(step: Any, description: Description, path: Position) -> Drawing:
    """Draw the way going on at once, and beside it the branches, which lead nowhere else."""
    branches, drawing = draw_branches(description), box(description.kind, path)
    fork = drawing.foot + TURN
    drawing.line((0, drawing.foot), (0, fork), arrow=False)
    axes, edge = [0.0], drawing.right + SIDE
    for branch in branches:
        axes.append(edge - branch.left)
        edge += branch.right - branch.left + SIDE
    for branch, axis in zip(branches, axes[1:], strict=True):
        drawing.line((axis, fork), (axis, fork + GAP))
        foot = drawing.put(branch, axis, fork + GAP)
        drawing.line((axis, foot), (axis, foot + TURN), arrow=False)
        drawing.shapes.append(f'<circle class="end" cx="{axis:g}" cy="{foot + TURN:g}" r="5"/>')
        drawing.reach(axis, foot + TURN + 5)
    draw_bar(drawing, axes, fork)
    drawing.line((0, fork), (0, drawing.foot), arrow=False)
    drawing.note(7, fork + 22, "at once")
    return drawing


def draw_synchronize(step: Any, description: Description, path: Position) -> Drawing:
    branches, drawing = draw_branches(description), box(description.kind, (*path, 0))
    axes, fork = side_by_side(branches), drawing.foot + TURN
    drawing.line((0, drawing.foot), (0, fork), arrow=False)
    feet = []
    for branch, axis in zip(branches, axes, strict=True):
        drawing.line((axis, fork), (axis, fork + GAP))
        feet.append(drawing.put(branch, axis, fork + GAP))
    join = max(feet) + TURN
    for foot, axis in zip(feet, axes, strict=True):
        drawing.line((axis, foot), (axis, join), arrow=False)
    draw_bar(drawing, axes, fork)
    draw_bar(drawing, axes, join)
    return then_last(drawing, draw(step[1], (*path, 1)))


def draw_try(step: Any, description: Description, path: Position) -> Drawing:
    """Draw the guarded tasks on the axis, and beside them what is done when one of them fails."""
    body, instead = (draw_list(branch, (*path, index)) for index, branch in enumerate(step))
    tried = framed(body, "tried")
    drawing, spans = stacked([box("TRY", path), tried])
    axis, foot = draw_failure(drawing, tried.right, spans[1], diamond("tries left?", path))
    drawing.note(axis + 7, spans[1][0] - 4, "yes")
    drawing.line((axis, foot), (axis, foot + GAP))
    drawing.note(axis + 7, foot + 17, "no")
    foot = drawing.put(instead, axis, foot + GAP)
    end = drawing.foot + TURN
    drawing.line((axis, foot), (axis, end), (0, end), arrow=False)
    drawing.line((0, spans[-1][1]), (0, end), arrow=False)
    return drawing


def draw_failure(drawing: Drawing, start: float, span: Point, goal: Drawing) -> tuple[float, float]:
    """Draw the way from a failing part to what stands beside it, and from there back.

    Returns the axis and the foot of what stands beside it.
    """
    middle, back = sum(span) / 2, span[0] - BACK
    axis, top = drawing.right + 2 * SIDE - goal.left, middle - goal.foot / 2
    drawing.line((start, middle), (axis + goal.left, middle))
    drawing.note(start + 6, middle - 6, "error")
    drawing.line((axis, top), (axis, back), (2, back))
    return axis, drawing.put(goal, axis, top)


def draw_debug_cycle(step: Any, description: Description, path: Position) -> Drawing:
    inner = box(description.label)
    draw_failure(inner, inner.right, (0, inner.foot), box("mend, reload"))
    return framed(inner, description.kind, path)


HOLDERS = {
    **dict.fromkeys(("ENG_GET", "ENG_SET"), "extra_data"),
    **dict.fromkeys(("OBJ_GET", "OBJ_SET"), "token"),
    "COUNT": 'extra_data["counts"]',
}
JUMPS = ("TASK_JUMP_FWD", "TASK_JUMP_BWD", "TASK_JUMP_IF", "BREAK")
DRAWN_BY: dict[str, Callable[[Any, Description, Position], Drawing]] = {
    **dict.fromkeys(JUMPS, draw_task_jump),
    **dict.fromkeys(
        ("STOP", "HALT", "ERROR", "OBJ_NEXT", "OBJ_JUMP_FWD", "OBJ_JUMP_BWD"), draw_end
    ),
    **dict.fromkeys(HOLDERS, draw_value),
    **dict.fromkeys(("IF", "IF_NOT"), draw_if),
    **dict.fromkeys(("IF_ELSE", "CHOICE"), draw_choice),
    **dict.fromkeys(("RUN_WF", "PROFILE"), draw_inside),
    "CALLFUNC": draw_call,
    "CMP": draw_comparison,
    "SIMPLE_MERGE": draw_merge,
    **dict.fromkeys(("WHILE", "FOR"), draw_loop),
    "PARALLEL_SPLIT": draw_split,
    "SYNCHRONIZE": draw_synchronize,
    "TRY": draw_try,
    "GRAPH": lambda step, description, path: draw_graph(description, "GRAPH", draw_list),
    "DEBUG_CYCLE": draw_debug_cycle,
}


# The files.


def picture(example: Any) -> str:
    """Return the SVG for an example, with a way that leads to it and one that leads on."""
    drawing, part = Drawing(), draw(example)
    drawing.line((0, 0), (0, GAP))
    foot = drawing.put(part, 0, GAP)
    if not part.ends:
        drawing.line((0, foot), (0, foot + GAP))
    return svg(drawing)


def steps_example() -> Any:
    """Return what the flow of the page on steps comes to."""
    from wfengine.steps import Sequent, StepStatus

    def note() -> None: ...

    flow = Sequent("example", store=":memory:", config={"task_construct": "inline"})
    extract = flow.add_step("extract", repeats=["EWR", "JFK"])
    read = extract.add_step("read", func=note)
    extract.add_step("check", func=note, requires=((read, StepStatus.success),))
    flow.add_step("join", func=note, requires=((extract, StepStatus.success),))
    return flow.__wfengine_definition__()


def pictures() -> dict[str, str]:
    """Return all pictures by file name."""
    patterns = {f"{name.lower()}.svg": picture(example) for name, example in EXAMPLES.items()}
    return {**patterns, "flow_statuses.svg": flow_statuses(), "steps.svg": picture(steps_example())}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, content in pictures().items():
        (FOLDER / name).write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
