"""Runs a definition on the durable engine; and the model, with what is meant to differ there.

In a durable run, branches that run beside each other work on copies of the token, and what they did
is put into the token when they are joined; a token that failed is stored as it was before the task
that failed. Everything else is as in memory.

The generated definitions need no restriction: the keys of a token, and the counts of its visits,
belong to one lane each.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from attrs import define, evolve, field, fields
from sqlalchemy import select

from wfengine.engine_db import DbWorkflowEngine
from wfengine.store import Store, Workflow

from . import definitions as d
from . import model
from .building import Builder
from .checks import HALTED, Point, end_of, give_up, halts_by_itself, specified
from .definitions import BESIDE
from .running import Case, EngineRun, ModelRun, Observed, Way, copied, users_own
from .world import Token

# The model.


@define
class Manner:
    """How a run is taken up: at the task that halted it, or after it."""

    is_past_halts: bool = False


@define(eq=False)
class DurableMachine(model.Machine):
    """Runs a definition as the durable engine does.

    :param is_beside: whether it is a branch beside others, with a copy of the token.
    :param split: tells the branches of one task from those of another.
    """

    manner: Manner = field(factory=Manner)
    is_beside: bool = False
    split: int = 0
    copies: list[Token] = field(factory=list)
    given: list[Token] = field(factory=list)
    stored: Any = None
    before: Any = None
    has_halted_itself: bool = False
    has_failed: bool = False
    is_remembering: bool = False
    tasks_begun: int = 0
    split_off: list["DurableMachine"] = field(factory=list)
    taken_up: int | None = None
    left_behind: dict[int, Any] = field(factory=dict)

    # A failed token is as it was before the task that failed.

    def _run_task(self, step: model.Step) -> Any:
        self.stored = self.before = deepcopy(self.token)
        self.tasks_begun += 1
        self.has_halted_itself = False
        try:
            found = super()._run_task(step)
        except model.HaltProcessing as halt:
            self.has_halted_itself = not getattr(halt, "is_of_a_branch", False)
            halt.is_of_a_branch = True  # type: ignore[attr-defined]
            self.stored = deepcopy(self.token)
            raise
        except model.Transition:
            self.stored = deepcopy(self.token)
            raise
        self.stored = deepcopy(self.token)
        return found

    def _left(self, outcome: str) -> None:
        super()._left(outcome)
        if self.kind == model.MAIN and outcome == "FAILED":
            self.has_failed = True
            self._put(self.stored)
        if self.kind == model.MAIN and outcome == "HALTED":
            self.leave_behind()

    def _put(self, data: Token) -> None:
        found = deepcopy(data)
        self.token.clear()
        self.token.update(found)

    # A halted token may be left behind, and taken up later.

    def leave_behind(self) -> None:
        """Keep where the current token has halted."""
        self.left_behind[self.token_pos] = (
            self.position,
            self.memory,
            self.has_halted_itself,
            self.split_off,
        )

    def take_up(self, index: int, tokens: list[Token], **policy: bool) -> None:
        """Go on with one of the tokens that were left behind, after the task that halted."""
        position, self.memory, is_past, self.split_off = self.left_behind.pop(index)
        if is_past:
            self.memory.pop(tuple(position), None)
            position = [*position[:-1], position[-1] + 1]
        self.manner.is_past_halts = True
        self.token_pos, self.taken_up = index - 1, index
        self._run(tokens[: index + 1], position, **policy)

    # Branches have copies of the token.

    def remembered(self, begin: Callable[[], Any], of_list: bool = False) -> Any:
        def begin_here() -> Any:
            self.is_remembering = True
            try:
                return begin()
            finally:
                self.is_remembering = False

        return super().remembered(begin_here, of_list)

    def child(self, definition: model.Steps, kind: str | None = None) -> model.Machine:
        """Return a machine for a branch; those of a RUN_WF say of which kind they are."""
        found = super().child(definition, kind or model.BRANCH)
        is_beside = kind is None and found.kind != model.APART
        child = DurableMachine(
            definition,
            self.world,
            found.extra_data,
            self.watched,
            found.kind,
            manner=self.manner,
            is_beside=is_beside,
            split=self.tasks_begun,
        )
        if is_beside and not self.is_remembering:
            self.split_off.append(child)
        return child

    def go_on(self, tokens: list[Token]) -> None:
        """Run a branch, from where it stands if it has been cut off before."""
        if self.is_beside and not self.copies:
            self.given, self.copies = deepcopy(tokens), deepcopy(tokens)
        if self.manner.is_past_halts and self.was_cut_off and self.has_halted_itself:
            self.memory.pop(tuple(self.position), None)
            self.position = [*self.position[:-1], self.position[-1] + 1]
        self.taken_up = self.token_pos if self.was_cut_off else None
        super().go_on(self.copies or tokens)

    def take_over(self, child: model.Machine) -> None:
        """Write what a branch has written, now that it has come to its end."""
        super().take_over(child)
        if isinstance(child, DurableMachine) and child.is_beside:
            self.join(child)

    def join(self, child: "DurableMachine") -> None:
        """Put what a branch did to its copy into the token."""
        (given,), (found,) = child.given, child.copies
        self._put(merged(given, found, self.token))

    # What is split off is joined at the end of the token, and goes on when the token does.

    def restart(self, obj: str, task: str, tokens: list[Token], **policy: bool) -> None:
        """Go on at a token and a task relative to the position."""
        self.taken_up = None if task == "first" else self.token_pos
        super().restart(obj, task, tokens, **policy)

    def _run_token(self) -> None:
        is_taken_up, self.taken_up = self.taken_up == self.token_pos, None
        if not is_taken_up:
            self.split_off = []
        is_saved = True
        try:
            super()._run_token()
        except (model.SkipToken, model.AbortProcessing):
            is_saved = False
            raise
        except model.HaltProcessing:
            has_left = self.position != [len(self.definition.items)]
            if self.came_out_beside and has_left:  # by a task that is run again
                self._put(self.before)
            raise
        finally:
            if is_saved:
                self._join_what_is_split_off()

    def _run_definition(self) -> None:
        for child in self.split_off:
            if not child.is_done:
                try:
                    child.go_on([self.token])
                except (model.HaltProcessing, model.Failure) as problem:
                    self.came_out_beside.append(problem)
        super()._run_definition()

    def _join_what_is_split_off(self) -> None:
        """Join the branches of each task of which all have come to their end."""
        unfinished = {child.split for child in self.split_off if not child.is_done}
        for child in self.split_off:
            if child.split not in unfinished:
                self.join(child)
        self.split_off = [child for child in self.split_off if child.split in unfinished]


def merged(given: Any, found: Any, into: Any) -> Any:
    """Return a value with what was changed in a copy of it; two never change the same."""
    if given == found:
        return into
    if isinstance(found, dict) and isinstance(given, dict) and isinstance(into, dict):
        changed = {
            key: merged(given.get(key), value, into.get(key))
            for key, value in found.items()
            if key not in given or given[key] != value
        }
        return {**into, **changed}
    if isinstance(found, list) and isinstance(into, list) and len(given) == len(found) == len(into):
        return [merged(*each) for each in zip(given, found, into, strict=True)]
    return found


class DurableModelRun(ModelRun):
    """A run of the model as the durable engine's are."""

    def __init__(self, case: Case, halt_at: Point | None = None) -> None:
        super().__init__(case, halt_at)
        self.machine: DurableMachine = DurableMachine(model.definition(case.items), self.world)

    def restart(self, obj: str, task: str) -> Observed:
        """Go on where the run was left, or somewhere near."""
        self.machine.manner.is_past_halts = False
        return super().restart(obj, task)

    def resume(self) -> Observed:
        """Go on after the task that halted, in a branch if it was there."""
        self.machine.manner.is_past_halts = True
        task = "next" if self.machine.has_halted_itself else "current"
        return super().restart("current", task)

    def resume_one(self, index: int) -> Observed:
        """Go on with one halted token."""
        policy = self.case.policy
        return self._observed(lambda: self.machine.take_up(index, self.tokens, **policy))


# The engine.


@define
class DurableWay(Way):
    """How a durable engine is run: none of it may make a difference.

    :param checkpoint: how often the run is written down.
    :param is_reloaded: whether the engine is thrown away, and another gets the run from the store,
        whenever the run has come to an end of any kind.
    """

    checkpoint: str = "task"
    is_reloaded: bool = False


class DurableRun(EngineRun):
    """A durable run that can be taken up again; its tokens are observed in the store."""

    way: DurableWay

    def __init__(
        self, case: Case, way: DurableWay, store: Store, halt_at: Point | None = None
    ) -> None:
        self.store = store
        super().__init__(case, way, halt_at)

    def _definition(self) -> list[Any]:
        way = self.way
        builder = Builder(self.world, way.coroutines, way.mixed, way.seed)
        return builder.definition(self.case.items)

    def _new_engine(self) -> Any:
        return DbWorkflowEngine.with_name(
            "generated",
            store=self.store,
            definition=self._definition(),
            checkpoint=self.way.checkpoint,
        )

    def resume(self, token_id: int | None = None) -> Observed:
        """Go on with what can go on, or with one token."""
        return self._observed("resume", token_id)

    def _observed(self, method: str, *arguments: Any) -> Observed:
        found = super()._observed(method, *arguments)
        found = evolve(found, tokens=[copied(token.data) for token in self.stored_tokens()])
        assert users_own(self._stored_extra_data()) == found.extra_data
        if self.way.is_reloaded:
            self._load()
            if found.outcome[0] == "halted":
                self._check_position(found)
        return found

    def _check_position(self, found: Observed) -> None:
        state, extra_data = self.engine.state, users_own(self.engine.extra_data)
        assert (state.token_pos, state.callback_pos) == (found.token_pos, found.callback_pos)
        assert extra_data == found.extra_data

    def resume_one(self, index: int) -> Observed:
        """Go on with one halted token."""
        return self.resume(self.stored_tokens()[index].id)

    def halted(self) -> list[int]:
        """The indexes of the tokens that are halted."""
        return [token.token_pos for token in self.engine.halted_objects]

    def stored_tokens(self) -> Any:
        """The tokens as they are in the store."""
        return self.engine.database_objects

    def _stored_extra_data(self) -> dict[str, Any]:
        query = select(Workflow.extra_data).where(Workflow.uuid == self.engine.uuid)
        with self.store.session() as session:
            found: dict[str, Any] = session.scalars(query).one()
        return found

    def _load(self) -> None:
        """Throw the engine away, with the tokens, and have another from the store."""
        uuid, self.tokens, self.objects = self.engine.uuid, [], None
        self.engine = DbWorkflowEngine.from_uuid(
            uuid, store=self.store, definition=self._definition()
        )


# What is required of it.


def as_the_model_says(case: Case, way: DurableWay, store: Store) -> None:
    """Require that a durable run is that of the model."""
    expected = specified(DurableModelRun(case).process)
    if not way.to_tasks:
        expected = evolve(expected, task_signals=[])
    assert DurableRun(case, way, store).process() == expected


def as_if_it_had_not_halted(case: Case, point: Point, way: DurableWay, store: Store) -> None:
    """Require that a run halted at a point, and restarted there, comes to the same end."""
    halted, run = DurableModelRun(case, point), DurableRun(case, way, store, point)
    if specified(halted.process).outcome != HALTED:
        give_up("something else has happened as well")
    assert run.process().outcome == HALTED

    expected = end_of(specified(lambda: halted.restart("current", "current")))
    # A token that fails keeps what its task had done before it was halted inside.
    if not (halts_by_itself(case) or halted.machine.has_failed):
        assert expected == end_of(specified(DurableModelRun(case).process))
    assert end_of(run.restart("current", "current")) == expected


def as_resumed(case: Case, point: Point, way: DurableWay, store: Store) -> None:
    """Require that a run goes on after each halt, as the model does, until it has ended."""
    modelled, run = DurableModelRun(case, point), DurableRun(case, way, store, point)
    expected = specified(modelled.process)
    assert end_of(run.process()) == end_of(expected)
    if expected.outcome[0] != "halted":
        give_up("not halted")
    while expected.outcome[0] == "halted":
        expected = specified(modelled.resume)
        assert end_of(run.resume()) == end_of(expected)


def as_resumed_one_by_one(
    case: Case, way: DurableWay, store: Store, choose: Callable[[list[int]], int]
) -> None:
    """Require that halted tokens go on as the model says, whichever is chosen each time."""
    modelled, run = DurableModelRun(case), DurableRun(case, way, store)
    expected = specified(modelled.process)
    assert end_of(run.process()) == end_of(expected)
    while modelled.machine.left_behind:
        assert run.halted() == sorted(modelled.machine.left_behind)
        index = choose(run.halted())
        expected = specified(lambda index=index: modelled.resume_one(index))  # type: ignore[misc]
        assert end_of(run.resume_one(index)) == end_of(expected)
    assert run.halted() == []


def as_restarted(
    case: Case, point: Point, way: DurableWay, store: Store, restarts: list[Any]
) -> None:
    """Require that a run goes on at each restart as the model does, while it keeps halting."""
    modelled, run = DurableModelRun(case, point), DurableRun(case, way, store, point)
    expected = specified(modelled.process)
    assert end_of(run.process()) == end_of(expected)
    for obj, task in restarts:
        if expected.outcome[0] != "halted":
            give_up("not halted")
        expected = specified(lambda obj=obj, task=task: modelled.restart(obj, task))  # type: ignore[misc]
        assert end_of(run.restart(obj, task)) == end_of(expected)


def with_a_halt(case: Case, place: int) -> Case:
    """Return a definition that halts each token once, at a place of its outermost list.

    Loops put nothing into ``extra_data``: of a token that is taken up, this comes back.
    """
    halts = d.Task((d.Act("halt", text="our message"),))
    items = (*case.items[:place], halts, *case.items[place:])
    return evolve(case, items=d.labelled(_without_keys(items)), stop_on_halt=False)


def _without_keys(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_without_keys(each) for each in value)
    if not isinstance(value, d.Node):
        return value
    inside = {each.name: _without_keys(getattr(value, each.name)) for each in fields(type(value))}
    if isinstance(value, d.For) and isinstance(value.setter, str):
        inside["setter"] = None
    return evolve(value, **inside)


def runs_beside(case: Case) -> bool:
    """Return whether there are branches that work on copies of the token."""
    return any(isinstance(part, d.Parallel | d.Synchronize) for part in d.parts_of(case.items))


def is_steered_while_branches_wait(case: Case) -> bool:
    """Return whether a token may be left although a branch that it waits for has halted.

    A durable run then undoes the step by which it was to be left, and runs it again.
    """
    acts = {
        act.kind
        for part in d.parts_of(case.items)
        if isinstance(part, d.Scripted)
        for act in part.script
        if isinstance(act, d.Act)
    }
    parts = d.parts_of(case.items)
    is_steered = (
        not leaves_tokens_alone(case)
        or acts & {"stop", "abort", "skip", "next"}
        or any(isinstance(part, d.Stop | d.ObjNext) for part in parts)
    )
    return bool(is_steered) and any(isinstance(part, d.Parallel) for part in parts)


def leaves_tokens_alone(case: Case) -> bool:
    """Return whether no task goes on with another token."""
    return "jump_token" not in repr(case) and "ObjJump" not in repr(case)


def points_of(case: Case) -> list[Point]:
    """Return where a run can be halted: at each visit in each lane that is waited for."""
    return [
        (lane, number)
        for lane, visits in specified(DurableModelRun(case).process).trace.items()
        if BESIDE not in lane
        for number in range(len(visits))
    ]
