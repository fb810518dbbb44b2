"""Migrating: programs written for Workflow run after ``workflow`` was renamed in their imports."""

import re

import pytest

from wfengine.errors import HaltProcessing


def renamed(source):
    """Rename ``workflow`` to ``wfengine`` in the imports of a program, and nowhere else."""
    return re.sub(r"^(\s*(?:from|import) )workflow\b", r"\1wfengine", source, flags=re.MULTILINE)


def run(source):
    """Run a program under the new name; return what it defined."""
    assert "wfengine" not in source
    namespace = {"__name__": "program"}
    exec(compile(renamed(source), "program.py", "exec"), namespace)
    return namespace


def run_deprecated(source, *old_names):
    """Run a program; check that it uses exactly these old names, each of which warns."""
    with pytest.warns(DeprecationWarning, match=" is deprecated: use ") as caught:
        namespace = run(source)
    warned = {str(warning.message).partition(" is deprecated: use ")[0] for warning in caught}
    assert warned == set(old_names)
    return namespace


def test_the_renaming_touches_imports_only():
    source = (
        "from workflow.engine import X  # workflow\nimport workflow\n    import workflow.errors\n"
    )
    assert renamed(source) == (
        "from wfengine.engine import X  # workflow\nimport wfengine\n    import wfengine.errors\n"
    )


# Version 2: the names of the manual, which are today's


WITH_HOOKS = '''
from workflow.engine import (
    ActionMapper, Callbacks, GenericWorkflowEngine, MachineState, ProcessingFactory,
    TransitionActions,
)
from workflow.errors import HaltProcessing, SkipToken, WorkflowError
from workflow.patterns.controlflow import HALT, IF
from workflow.utils import staticproperty


class MyEngine(GenericWorkflowEngine):
    @staticproperty
    def processing_factory():
        """Provide a processing factory."""
        return MyProcessingFactory

    def execute_callback(self, callback, obj):
        """Log each task."""
        print("running", callback.__name__)
        return super(MyEngine, self).execute_callback(callback, obj)


class MyProcessingFactory(ProcessingFactory):
    @staticproperty
    def action_mapper():
        return MyActionMapper

    @staticproperty
    def transition_exception_mapper():
        return MyTransitionActions

    @staticmethod
    def before_object(eng, objects, obj):
        print("object", eng.state.token_pos, "of", len(objects))
        super(MyProcessingFactory, MyProcessingFactory).before_object(eng, objects, obj)

    @staticmethod
    def after_processing(eng, objects):
        print("saved")


class MyActionMapper(ActionMapper):
    @staticmethod
    def after_each_callback(eng, callback_func, obj):
        print("after", callback_func.__name__)


class MyTransitionActions(TransitionActions):
    @staticmethod
    def HaltProcessing(obj, eng, callbacks, e):
        print("saved on", e.action)
        raise e

    @staticmethod
    def SkipToken(obj, eng, callbacks, e):
        print("skipped")
        super(MyTransitionActions, MyTransitionActions).SkipToken(obj, eng, callbacks, e)


def is_bad(obj, eng):
    return obj["grade"] < 5


def skip(obj, eng):
    eng.skip_token()


my_engine = MyEngine()
my_engine.callbacks.add_many([
    IF(is_bad, [HALT("again", action="repeat")]),
])
my_engine.callbacks.add(skip)
try:
    my_engine.process([{"grade": 6}, {"grade": 4}])
except HaltProcessing as e:
    print("halted:", e.message, my_engine.state.token_pos, my_engine.current_taskname)
my_engine.objects[1]["grade"] = 5
my_engine.restart("current", "first")
print(my_engine.has_completed)
'''


def test_a_program_with_hooks_of_its_own(capsys):
    run(WITH_HOOKS)
    assert capsys.readouterr().out.splitlines() == [
        "object 0 of 2",
        "running IF",
        "after IF",
        "running skip",
        "after skip",
        "skipped",
        "object 1 of 2",
        "running IF",
        "after IF",
        "running HALT",
        "after HALT",
        "saved on repeat",
        "halted: again 1 HALT",
        "object 1 of 2",
        "running IF",
        "after IF",
        "running skip",
        "after skip",
        "skipped",
        "saved",
        "True",
    ]


WITH_KEYS_AND_SIGNALS = """
from workflow.engine import GenericWorkflowEngine
from workflow.patterns import ENG_GET, ENG_SET, FOR, OBJ_SET
from workflow.patterns.utils import CALLFUNC
from workflow import signals


def started(eng, **kwargs):
    print("started", len(kwargs["objects"]))


class Engine(GenericWorkflowEngine):
    def callback_chooser(self, obj):
        return self.callbacks.get(obj["type"])


def show(obj, eng):
    print(obj["type"], eng.extra_data["factor"] * eng.extra_data["number"])


eng = Engine()
eng.callbacks.replace([ENG_SET("factor", 2), FOR([1, 2], "number", [show])], "double")
eng.callbacks.replace([ENG_SET("factor", 3), FOR([1, 2], "number", [show])], "triple")
with signals.workflow_started.connected_to(started):
    eng.process([{"type": "double"}, {"type": "triple"}])
"""


def test_a_program_with_definitions_by_key_and_signals(capsys):
    run(WITH_KEYS_AND_SIGNALS)
    assert capsys.readouterr().out.splitlines() == [
        "started 2",
        "double 2",
        "double 4",
        "triple 3",
        "triple 6",
    ]


IN_A_TASK_QUEUE = """
def add(obj, eng):
    obj["value"] += 2

def print_res(obj, eng):
    print(obj.get("value"))

flow = [add, print_res]

def run_workflow(data):
    from workflow.engine import GenericWorkflowEngine
    wfe = GenericWorkflowEngine()
    wfe.setWorkflow(flow)
    wfe.process(data)
"""


def test_a_function_that_a_task_queue_calls(capsys):
    """The manual's chapter 2.3, without the queue."""
    namespace = run(IN_A_TASK_QUEUE)
    with pytest.warns(DeprecationWarning, match=r"setWorkflow .* use eng\.callbacks\.replace"):
        namespace["run_workflow"]([{"value": 10}, {"value": 20}, {"value": 30}])
    assert capsys.readouterr().out == "12\n22\n32\n"


# Version 1: the old spellings


IN_THE_OLD_SPELLING = """
from workflow.engine import GenericWorkflowEngine
from workflow.errors import JumpTokenBack

seen = []


def start(obj, eng):
    seen.append((eng.getCurrObjId(), obj, eng.getCurrTaskId()))
    if not eng.hasVar("count"):
        eng.setVar("count", 0)
    eng.setVar("count", eng.getVar("count") + 1)


def skip_odd(obj, eng):
    if obj % 2:
        eng.continueNextToken()


def back_once(obj, eng):
    if eng.getVar("count") == 3:
        raise JumpTokenBack(1)


def never(obj, eng):
    raise AssertionError("jumped over")


def stop_at_four(obj, eng):
    if obj == 4:
        eng.stopProcessing()


eng = GenericWorkflowEngine()
eng.addManyCallbacks("*", [start, skip_odd])
eng.addCallback("*", back_once)
eng.addCallback("*", [lambda obj, eng: eng.jumpCallForward(2), never])
eng.addCallback("*", stop_at_four)
eng.process([0, 1, 2, 3, 4, 5])
count = eng.getVar("count")
eng.delVar("count")
left = eng.hasVar("count")
"""


def test_a_program_in_the_old_spelling():
    namespace = run_deprecated(
        IN_THE_OLD_SPELLING,
        "JumpTokenBack",
        "addCallback",
        "addManyCallbacks",
        "continueNextToken",
        "delVar",
        "getCurrObjId",
        "getCurrTaskId",
        "getVar",
        "hasVar",
        "jumpCallForward",
        "setVar",
        "stopProcessing",
    )
    assert [token for token, _, _ in namespace["seen"]] == [0, 1, 2, 1, 2, 3, 4]
    assert {tuple(position) for _, _, position in namespace["seen"]} == {(0,)}
    assert (namespace["count"], namespace["left"]) == (7, False)


PUT_BACK_IN_POSITION = """
from workflow.engine import GenericWorkflowEngine
from workflow.errors import HaltProcessing

trace = []


def halt_once(obj, eng):
    trace.append(("halt_once", obj))
    if not eng.store.setget("halted", False):
        eng.store["halted"] = True
        eng.haltProcessing("look at this")


def work(obj, eng):
    trace.append(("work", obj))


eng = GenericWorkflowEngine()
eng.setWorkflow([work, [halt_once, work]])
try:
    eng.process(["a", "b"])
except HaltProcessing as halt:
    position = eng.getCurrObjId(), eng.getCurrTaskId()

other = GenericWorkflowEngine()
other.store.update(eng.store)
other.setWorkflow(eng.getCallbacks())
other.setPosition(*position)
other.restart("current", "current", objects=["a", "b"])
"""


def test_a_program_that_halts_and_is_put_back_in_position():
    namespace = run_deprecated(
        PUT_BACK_IN_POSITION,
        "getCallbacks",
        "getCurrObjId",
        "getCurrTaskId",
        "haltProcessing",
        "setPosition",
        "setWorkflow",
        "store",
    )
    b = [("work", "b"), ("halt_once", "b"), ("work", "b")]
    assert namespace["trace"] == [
        ("work", "a"),
        ("halt_once", "a"),
        ("halt_once", "a"),
        ("work", "a"),
        *b,
    ]


WITH_TYPED_TOKENS = """
from workflow.engine import GenericWorkflowEngine


class Record:
    def __init__(self, kind):
        self.kind = kind

    def getFeature(self, name):
        return self.kind


seen = []
eng = GenericWorkflowEngine()
eng.addCallback("book", lambda obj, eng: seen.append("book"))
eng.addCallback("*", lambda obj, eng: seen.append("any"))
eng.replaceCallbacks("film", [lambda obj, eng: seen.append("film")])
eng.removeCallbacks("film")
eng.process([Record("book"), Record("film")])
"""


def test_a_program_with_tokens_that_know_their_type():
    namespace = run_deprecated(
        WITH_TYPED_TOKENS,
        "a token's getFeature('type')",
        "addCallback",
        "removeCallbacks",
        "replaceCallbacks",
    )
    assert namespace["seen"] == ["book", "any"]


@pytest.mark.parametrize(
    ("old", "call", "expected"),
    [
        ("abortProcessing", "eng.abortProcessing()", ["a0"]),
        ("stopProcessing", "eng.stopProcessing()", ["a0"]),
        ("skipToken", "eng.skipToken()", ["a0", "a1", "b1", "c1"]),
        ("continueNextToken", "eng.continueNextToken()", ["a0", "a1", "b1", "c1"]),
        ("jumpToken", "eng.jumpToken(1)", ["a0", "a1", "b1", "c1"]),
        ("jumpTokenForward", "eng.jumpTokenForward(1)", ["a0", "a1", "b1", "c1"]),
        ("jumpTokenBack", "eng.jumpTokenBack(1)", ["a0", "a0", "b0", "c0", "a1", "b1", "c1"]),
        ("jumpCall", "eng.jumpCall(2)", ["a0", "c0", "a1", "b1", "c1"]),
        ("jumpCallForward", "eng.jumpCallForward(2)", ["a0", "c0", "a1", "b1", "c1"]),
        ("jumpCallBack", "eng.jumpCallBack(1)", ["a0", "a0", "b0", "c0", "a1", "b1", "c1"]),
        ("breakFromThisLoop", "eng.breakFromThisLoop()", ["a0", "c0", "a1", "b1", "c1"]),
    ],
)
def test_each_old_transition_steers_a_program(old, call, expected):
    namespace = run_deprecated(
        f"""
from workflow.engine import GenericWorkflowEngine

trace, steered = [], []


def mark(name):
    return lambda obj, eng: trace.append(name + str(obj))


def steer(obj, eng):
    if obj == 0 and not steered:
        steered.append(obj)
        {call}


eng = GenericWorkflowEngine()
eng.callbacks.replace([[mark("a"), steer, mark("b")], mark("c")])
eng.process([0, 1])
""",
        old,
    )
    assert namespace["trace"] == expected


def test_a_halt_in_the_old_spelling_reaches_the_program():
    with pytest.warns(DeprecationWarning, match="haltProcessing"), pytest.raises(HaltProcessing):
        run("""
from workflow.engine import GenericWorkflowEngine
eng = GenericWorkflowEngine()
eng.callbacks.add(lambda obj, eng: eng.haltProcessing("why"))
eng.process([1])
""")


PARALLEL_SPLIT_OF_THE_MANUAL = """
import _thread as thread
import threading
from workflow.engine import GenericWorkflowEngine

ended = threading.Semaphore(0)


def PARALLEL_SPLIT(*args):
    def _parallel_split(obj, eng, calls):
        lock = thread.allocate_lock()
        eng.store['lock'] = lock
        for func in calls:
            new_eng = eng.duplicate()
            new_eng.setWorkflow([lambda o, e: e.store.update({'lock': lock}), func])
            thread.start_new_thread(new_eng.process, ([obj], ))
        return lambda o, e: _parallel_split(o, e, args)

    return lambda o, e: _parallel_split(o, e, args)


def task_a(obj, eng):
    obj.append("a")


def branch(name):
    def task(obj, eng):
        with eng.store['lock']:
            obj.append(name)
        ended.release()
    return task


token = []
eng = GenericWorkflowEngine()
eng.callbacks.replace([task_a, PARALLEL_SPLIT(branch("b"), branch("c"), branch("d"))])
eng.process([token])
for _ in range(3):
    ended.acquire()
"""


def test_a_parallel_split_as_the_manual_implements_it():
    namespace = run_deprecated(
        PARALLEL_SPLIT_OF_THE_MANUAL,
        "duplicate",
        "setWorkflow",
        "store",
    )
    token = namespace["token"]
    assert token[0] == "a"
    assert sorted(token[1:]) == ["b", "c", "d"]
