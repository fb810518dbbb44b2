"""The summary: what a run did, as numbers and places."""

import re


def test_it_shows_what_was_read_counted_halted_and_failed_and_where_the_outputs_are(birds):
    done = birds.run("birds.py:workflow", "--input", "birds.csv")
    summary = re.sub(r"[\d.,]+ seconds, [\d.,]+ tokens", "S seconds, N tokens", done.out)
    assert summary == (
        "  read              5\n"
        "  written           3\n"
        "  halted            1\n"
        "    confirm         1\n"
        "      can this be?  1\n"
        "  failed            1\n"
        "  S seconds, N tokens/s\n"
        "  -> output/sightings.jsonl\n"
    )


def test_a_failure_names_what_was_wrong_in_which_task_and_which_line(birds):
    done = birds.run("birds.py:workflow", "--input", "birds.csv")
    assert done.err == (
        "Failed once: field count: 'many' is not a whole number\n"
        "  in task 'clean' at [0]\n"
        "  birds.csv:5\n"
    )


def test_failures_that_differ_in_values_only_are_one_group_with_the_first_lines(birds):
    rows = "".join(f"wren,n{number}\n" for number in range(10))
    birds.write(birds_csv=f"bird,count\n{rows}")
    done = birds.run("birds.py:workflow", "--input", "birds.csv")
    assert done.numbers()["failed"] == 10
    assert done.err == (
        "Failed 10 times: field count: 'n0' is not a whole number\n"
        "  in task 'clean' at [0]\n"
        "  birds.csv:2, birds.csv:3, birds.csv:4 and 7 more\n"
    )


def test_many_kinds_of_failure_are_cut_short_and_counted(folder):
    folder.write(
        flow_py="def fail(obj, eng): raise ValueError('letters ' + obj['a'])\nworkflow = [fail]",
        rows_csv="a\n" + "".join(f"{chr(97 + number)}\n" for number in range(15)),
    )
    done = folder.run("flow.py:workflow", "--input", "rows.csv")
    assert done.err.count("Failed once") == 10
    assert "And 5 further kinds of failure.\n" in done.err


def test_an_exception_of_the_users_code_names_its_file_and_line(folder):
    folder.write(
        flow_py="def half(obj, eng):\n    return obj['a'] / 2\nworkflow = [[half]]",
        rows_csv="a\n1\n",
    )
    done = folder.run("flow.py:workflow", "--input", "rows.csv")
    assert done.err == (
        "Failed once: TypeError: unsupported operand type(s) for /: 'str' and 'int'\n"
        "  in task 'half' at [0, 0], flow.py:2 in half\n"
        "  rows.csv:2\n"
    )


def test_an_exception_out_of_the_standard_library_names_the_line_that_called_it(folder):
    folder.write(
        flow_py="import json\ndef parse(obj, eng):\n    json.loads(obj['a'])\nworkflow = [parse]",
        rows_csv="a\n{\n",
    )
    done = folder.run("flow.py:workflow", "--input", "rows.csv")
    assert "flow.py:3 in parse\n" in done.err


def test_every_failing_branch_is_shown(folder):
    folder.write(
        flow_py="""
from wfengine.patterns import SYNCHRONIZE
def first(obj, eng): raise ValueError("no fish")
def second(obj, eng): raise KeyError("bread")
def last(obj, eng): pass
workflow = [SYNCHRONIZE(first, second, last)]
""",
        rows_csv="a\n1\n",
    )
    done = folder.run("flow.py:workflow", "--input", "rows.csv")
    assert done.status == 1
    assert "- ValueError: no fish" in done.err
    assert "- KeyError: 'bread'" in done.err


def test_a_branch_that_nobody_waits_for_counts_as_a_failure(folder):
    folder.write(
        flow_py="""
import time
from wfengine.patterns import PARALLEL_SPLIT
def fail(obj, eng):
    time.sleep(0.2)  # the token, and the run, are over by then
    raise ValueError("no fish")
workflow = [PARALLEL_SPLIT(fail)]
""",
        rows_csv="a\n1\n",
    )
    done = folder.run("flow.py:workflow", "--input", "rows.csv")
    assert done.status == 1
    assert done.numbers() == {"read": 1, "completed": 1, "halted": 0, "failed": 1}
    assert "Failed once: ValueError: no fish\n  in branch 0 (fail), flow.py:6 in fail\n" in done.err


def test_a_workflow_that_counts_nothing_shows_what_was_completed(folder):
    folder.write(flow_py="def task(obj, eng): pass", rows_csv="a\n1\n2\n")
    done = folder.run("flow.py:task", "--input", "rows.csv")
    assert done.numbers() == {"read": 2, "completed": 2, "halted": 0, "failed": 0}


def test_skipped_tokens_are_told_apart(folder):
    folder.write(
        flow_py="from wfengine.patterns import OBJ_NEXT\nworkflow = [OBJ_NEXT()]",
        rows_csv="a\n1\n2\n",
    )
    numbers = folder.run("flow.py:workflow", "--input", "rows.csv").numbers()
    assert (numbers["skipped"], numbers["completed"]) == (2, 0)


def test_halts_are_counted_by_action_and_by_message(folder):
    folder.write(
        flow_py="""
def ask(obj, eng):
    eng.halt(f"what is {obj['a']}?", action=obj["b"] or None)
workflow = [ask]
""",
        rows_csv="a,b\nx,look\nx,look\ny,look\nx,call\nz,\n",
    )
    done = folder.run("flow.py:workflow", "--input", "rows.csv")
    assert done.status == 0
    halted = [line.split() for line in done.out.splitlines() if "read" not in line][1:-2]
    assert halted == [
        ["halted", "5"],
        ["look", "3"],
        ["what", "is", "x?", "2"],
        ["what", "is", "y?", "1"],
        ["call", "1"],
        ["what", "is", "x?", "1"],
        ["(no", "action)", "1"],
        ["what", "is", "z?", "1"],
    ]


def test_many_reasons_for_one_action_are_cut_short_and_counted(folder):
    folder.write(
        flow_py="def ask(obj, eng): eng.halt(obj['a'], action='look')",
        rows_csv="a\n" + "".join(f"reason {number:02}\n" for number in range(15)),
    )
    numbers = folder.run("flow.py:ask", "--input", "rows.csv").numbers()
    assert numbers["look"] == 15
    assert (numbers["reason 09"], numbers["for other reasons"]) == (1, 5)
    assert "reason 10" not in numbers


def test_a_workflow_that_stops_the_run_says_where_and_is_no_failure(folder):
    folder.write(
        flow_py="def task(obj, eng):\n    if obj['a'] == '2': eng.stop()",
        rows_csv="a\n1\n2\n3\n",
    )
    done = folder.run("flow.py:task", "--input", "rows.csv")
    assert done.status == 0
    assert done.numbers()["read"] == 2
    assert "The workflow stopped the run at rows.csv, line 3." in done.out


def test_what_a_row_holds_cannot_steer_the_terminal(folder):
    folder.write(
        flow_py="def ask(obj, eng): eng.halt('[red]' + obj['a'], action='\\x1b[31mlook')",
        rows_csv="a\n\x1b]0;title\x07\n",
    )
    done = folder.run("flow.py:ask", "--input", "rows.csv")
    assert "\x1b" not in done.out
    assert "\\x1b[31mlook" in done.out
    assert "[red]\\x1b]0;title\\x07" in done.out


def test_a_name_that_the_terminal_cannot_show_is_escaped(folder):
    folder.write(flow_py="def ask(obj, eng): eng.halt('\\ud800')", rows_csv="a\n1\n")
    done = folder.run("flow.py:ask", "--input", "rows.csv")
    assert done.status == 0
    assert "\\ud800" in done.out


def test_quiet_prints_nothing_when_nothing_failed(birds):
    done = birds.run("birds.py:workflow", "--input", "good.csv", "--quiet")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_quiet_still_prints_failures(birds):
    done = birds.run("birds.py:workflow", "--input", "birds.csv", "--quiet")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("Failed once: field count: 'many' is not a whole number\n")
