"""The manual's examples, as scripts, with the order that it prints."""

import subprocess
import sys
from pathlib import Path

import pytest

SIMPLE = """
import wfengine.steps as seq
import logging

logger=logging.getLogger(__name__)

def prog(progname, success=True):
    print("doing what %s is doing" % progname, flush=True)
    if not success:
        raise Exception("%s failed" % progname)
    return progname

myflow=seq.Sequent(logging_level=logging.INFO,
                   config={'sleep_between_loops': 0.05,})

s1=myflow.add_step('s1', repeats=[1,2])

s11=s1.add_step('s11', repeats=[1,2,])

s111=s11.add_step('s111', func=prog, kwargs={'progname': 'prog1'})
s112=s11.add_step('s112', func=prog, kwargs={'progname': 'prog2'},
                  requires=( (s111, seq.StepStatus.success), ))

s12=s1.add_step('s12', func=prog, kwargs={'progname': 'prog3'},
                requires=( (s11, seq.StepStatus.success), ))

s2=myflow.add_step('s2', func=prog, kwargs={'progname': 'prog4'},
                   requires=( (s1, seq.StepStatus.success), ))

myflow()
myflow.close()
"""

RECOVERY = """
import wfengine.steps as sqnt
import logging

def prog(flow, progname, step_to_fail=None, iteration_to_fail=''):
    step_name=flow.get_step_name()
    step_sequence=flow.get_step_sequence()
    print("doing what %s is doing (%s/%s)" % (progname, step_name, step_sequence), flush=True)
    if step_to_fail == step_name and step_sequence== iteration_to_fail:
        raise Exception("%s failed (%s/%s)" % (progname, step_name, step_sequence))
    return progname

def build_flow(run_mode=sqnt.RunMode.restart, step_to_fail=None, iteration_to_fail=''):
    myflow=sqnt.Sequent(logging_level=logging.INFO, run_mode=run_mode,
                        config={'sleep_between_loops': 0.05,}, )
    s1=myflow.add_step('s1', repeats=[1,2])
    s11=s1.add_step('s11', repeats=[1,2,])
    kwargs={'flow': myflow, 'step_to_fail':step_to_fail, 'iteration_to_fail':iteration_to_fail,}
    s111=s11.add_step('s111', func=prog, kwargs={'progname': 'prog1', **kwargs})
    s112=s11.add_step('s112', func=prog, kwargs={'progname': 'prog2', **kwargs},
                      requires=( (s111, sqnt.StepStatus.success), ))
    s12=s1.add_step('s12', func=prog, kwargs={'progname': 'prog3', **kwargs},
                    requires=( (s11, sqnt.StepStatus.success), ))
    s2=myflow.add_step('s2', func=prog, kwargs={'progname': 'prog4', **kwargs},
                       requires=( (s1, sqnt.StepStatus.success), ))
    return myflow

# creating flow simulating failure
myflow=build_flow(step_to_fail='s1_s11_s111', iteration_to_fail='1.2.2')
myflow()
myflow.close()

# creating recovery flow
myflow=build_flow(run_mode=sqnt.RunMode.recover, )
myflow()
myflow.close()
"""

RESOURCES = """
import logging
import wfengine.steps as sqnt
from wfengine.steps import resources as vrp

class Resources1(vrp.Resource): pass
class Resources2(vrp.Resource): pass

rp1=vrp.ResourcePool('RP1', resource_cls=Resources1, policy={'resource_limit': 2, }).load()
rp2=vrp.ResourcePool('RP2', resource_cls=Resources2, policy={'resource_limit': 2, }).load()

myflow=sqnt.Sequent(logging_level=logging.INFO, config={'sleep_between_loops': 0.05,}, )
s1=myflow.add_step('s1', repeats=[1,2], acquires=[(rp1, 2), ])
s1.add_step('s11', func=print, args=('s11',), kwargs={'flush': True}, acquires=[(rp2, 1), ])
myflow()
"""


def output_of(script: Path) -> list[str]:
    """Run a script, and return the lines that it prints."""
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def script(tmp_path):
    """A script of that text, in a folder of its own."""

    def write(text: str) -> Path:
        path = tmp_path / "example.py"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_the_simple_example_prints_what_the_manual_shows(script):
    path = script(SIMPLE)
    assert output_of(path) == [
        f"doing what prog{number} is doing" for number in (1, 2, 1, 2, 3, 1, 2, 1, 2, 3, 4)
    ]
    assert path.with_suffix(".db").exists(), "the store is beside the script"


def test_the_recovery_example_prints_what_the_manual_shows(script):
    assert output_of(script(RECOVERY)) == [
        f"doing what {what} is doing ({where})"
        for what, where in (
            ("prog1", "s1_s11_s111/1.1.1"),
            ("prog2", "s1_s11_s112/1.1.1"),
            ("prog1", "s1_s11_s111/1.1.2"),
            ("prog2", "s1_s11_s112/1.1.2"),
            ("prog3", "s1_s12/1.1"),
            ("prog1", "s1_s11_s111/1.2.1"),
            ("prog2", "s1_s11_s112/1.2.1"),
            ("prog1", "s1_s11_s111/1.2.2"),
            ("prog1", "s1_s11_s111/1.2.2"),
            ("prog2", "s1_s11_s112/1.2.2"),
            ("prog3", "s1_s12/1.2"),
            ("prog4", "s2/1"),
        )
    ]


def test_the_resources_example_holds_what_it_acquires_for_both_rounds(script):
    assert output_of(script(RESOURCES)) == ["s11", "s11"]


def test_a_flow_of_a_module_that_is_imported_is_not_run_again_by_its_steps(script):
    importing = script(SIMPLE).with_name("importing.py")
    importing.write_text("import example\n", encoding="utf-8")
    assert output_of(importing) == [
        f"doing what prog{number} is doing" for number in (1, 2, 1, 2, 3, 1, 2, 1, 2, 3, 4)
    ]
