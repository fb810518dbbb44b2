"""The tally: what is counted takes no more memory, however much there is of it."""

from wfengine import GenericWorkflowEngine
from wfengine.cli.records import Record
from wfengine.cli.tally import MOST_GROUPS, Tally


def letters(number):
    """A text without digits, another one for each number."""
    return "".join(chr(97 + int(digit)) for digit in str(number))


def tally_of(task, tokens):
    eng, tally = GenericWorkflowEngine(), Tally()
    eng.callbacks.replace([task])
    with tally.listening(eng):
        eng.process(tokens, stop_on_error=False, stop_on_halt=False)
    return tally


def test_ever_new_failures_are_counted_but_not_all_held():
    def fail(obj, eng):
        raise ValueError(letters(obj["a"]))

    tally = tally_of(fail, [Record({"a": n}, "r", n) for n in range(MOST_GROUPS + 50)])
    assert tally.failed == MOST_GROUPS + 50
    assert len(tally.failures) == MOST_GROUPS + 1
    assert list(tally.failures.values())[-1].text == "for other reasons"
    assert list(tally.failures.values())[-1].count == 50


def test_ever_new_halts_are_counted_but_not_all_held():
    def halt(obj, eng):
        eng.halt(letters(obj["a"]), action="look")

    tally = tally_of(halt, [Record({"a": n}, "r", n) for n in range(MOST_GROUPS + 50)])
    assert sum(group.count for group in tally.halts.values()) == MOST_GROUPS + 50
    assert len(tally.halts) == MOST_GROUPS + 1


def test_another_engine_is_not_counted():
    def fail(obj, eng):
        raise ValueError

    def run_another(obj, eng):
        other = GenericWorkflowEngine()
        other.callbacks.replace([fail])
        other.process([obj], stop_on_error=False)

    assert tally_of(run_another, [Record({}, "r", 1)]).failed == 0
