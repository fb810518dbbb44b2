"""The outputs: files that are never cut short without saying so."""

import json
from errno import EFBIG

import pytest

from wfengine import GenericWorkflowEngine
from wfengine.cli.outputs import output_file
from wfengine.errors import WorkflowAPIError
from wfengine.patterns import PARALLEL_SPLIT, SYNCHRONIZE


def write(obj, eng):
    output_file(eng, "out.txt").write(f"{obj}\n")


def engine_for(folder, *definition):
    eng = GenericWorkflowEngine()
    eng.callbacks.replace(definition)
    eng.extra_data["output_dir"] = str(folder)
    return eng


def test_outputs_go_into_the_folder_that_is_named(birds):
    done = birds.run("birds.py:workflow", "--input", "good.csv", "--output", "a/b")
    assert "  -> a/b/sightings.jsonl\n" in done.out
    lines = (birds / "a" / "b" / "sightings.jsonl").read_text().splitlines()
    assert list(map(json.loads, lines)) == [
        {"bird": "robin", "count": 2},
        {"bird": "wren", "count": 1},
    ]
    assert not (birds / "output").exists()


def test_an_output_of_an_earlier_run_is_replaced(birds):
    for _ in range(2):
        birds.run("birds.py:workflow", "--input", "good.csv")
    assert len((birds / "output" / "sightings.jsonl").read_text().splitlines()) == 2


def test_after_a_failure_ends_the_run_the_outputs_are_called_partial(birds):
    done = birds.run("birds.py:workflow", "--input", "birds.csv", "--on-error", "stop")
    assert "-> output/sightings.jsonl (partial: the run did not come to its end)" in done.out
    assert len((birds / "output" / "sightings.jsonl").read_text().splitlines()) == 2


def test_a_crash_leaves_the_part_under_the_name_of_a_part(folder):
    folder.write(
        flow_py="""
import os
from wfengine.cli.outputs import output_file
def task(obj, eng):
    output_file(eng, "out.txt").write("1")
    os.abort()
""",
        rows_csv="a\n1\n",
    )
    assert folder.run("flow.py:task", "--input", "rows.csv").status < 0
    assert [file.name for file in (folder / "output").iterdir()] == ["out.txt.part"]


def test_an_output_that_cannot_be_finished_fails_the_run_and_is_called_unfinished(folder):
    folder.write(
        flow_py="""
import resource
from wfengine.cli.outputs import output_file
def task(obj, eng):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    eng.defer(lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)), until="run")
    output_file(eng, "small.txt").write("1")
    output_file(eng, "large.txt").write("1" * 1000)  # written when the run ends
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
""",
        rows_csv="a\n1\n",
    )
    done = folder.run("flow.py:task", "--input", "rows.csv")
    assert done.status == 1
    assert f"Failed once: OSError: [Errno {EFBIG}]" in done.err
    assert "-> output/small.txt (partial" in done.out
    assert "-> output/large.txt.part (unfinished: it could not be closed)" in done.out
    assert (folder / "output" / "small.txt").read_text() == "1"
    assert not (folder / "output" / "large.txt").exists()


def test_a_folder_that_cannot_be_made_fails_each_token(birds):
    birds.write(output="a file")
    done = birds.run("birds.py:workflow", "--input", "good.csv")
    assert done.status == 1
    assert "Failed 2 times: FileExistsError" in done.err
    assert "birds.py:16 in write" in done.err


def test_every_output_is_finished_that_can_be_and_all_errors_are_raised(tmp_path):
    def occupy(obj, eng):
        for name in ("a", "b", "c"):
            output_file(eng, name).write(name)
        (tmp_path / "a").mkdir()
        (tmp_path / "c").mkdir()

    eng = engine_for(tmp_path, occupy)
    with pytest.raises(ExceptionGroup, match="several outputs could not be finished") as caught:
        eng.process([1])
    assert {type(error) for error in caught.value.exceptions} == {IsADirectoryError}
    assert (tmp_path / "b").read_text() == "b"
    assert (tmp_path / "c.part").read_text() == "c"


def test_while_the_run_goes_on_an_output_is_a_part(tmp_path):
    seen = []
    eng = engine_for(tmp_path, write, lambda obj, eng: seen.append(dict(eng.extra_data["outputs"])))
    eng.process([1])
    assert seen == [{"out.txt": str(tmp_path / "out.txt.part")}]
    assert eng.extra_data["outputs"] == {"out.txt": str(tmp_path / "out.txt")}


def test_an_engine_that_is_restarted_goes_on_with_its_outputs(tmp_path):
    eng = engine_for(tmp_path, write)
    eng.process([1, 2, 3])
    eng.restart("prev", "first")
    assert (tmp_path / "out.txt").read_text() == "1\n2\n3\n2\n3\n"


@pytest.mark.parametrize("split", [SYNCHRONIZE, lambda *tasks: PARALLEL_SPLIT(*tasks, wait=True)])
def test_branches_write_to_the_outputs_of_the_run(tmp_path, split):
    eng = engine_for(tmp_path, split([write, write], [write], [write]))
    eng.process(["x"] * 20)
    assert (tmp_path / "out.txt").read_text() == "x\n" * 80
    assert not (tmp_path / "out.txt.part").exists()


def test_an_output_may_lie_in_a_folder_of_its_own(tmp_path):
    engine_for(tmp_path, lambda obj, eng: output_file(eng, "a/b.txt").write("1")).process([1])
    assert (tmp_path / "a" / "b.txt").read_text() == "1"


def test_there_are_no_outputs_outside_a_run(tmp_path):
    with pytest.raises(WorkflowAPIError):
        output_file(engine_for(tmp_path, write), "out.txt")
    assert list(tmp_path.iterdir()) == []
