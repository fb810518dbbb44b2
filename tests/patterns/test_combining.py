"""A lock whose holder does what others leave to it."""

import sys
import threading

import pytest

from wfengine.patterns.combining import CombiningLock

THREADS = 4
TIMES = 3000


@pytest.fixture
def many_switches():
    """Let threads take turns a hundred times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 100)
    yield
    sys.setswitchinterval(before)


class Register:
    """Notes what is done, and whether two threads ever were in it together."""

    def __init__(self):
        self.lock = CombiningLock()
        self.inside = 0
        self.met = 0
        self.left = []
        self.held = 0

    def enter(self):
        self.inside += 1
        self.met += self.inside > 1
        for _ in range(3):  # the interpreter may switch at the end of each round
            pass
        self.inside -= 1

    def hold(self):
        with self.lock:
            self.enter()
            self.held += 1

    def leave(self, thread, number):
        def call():
            self.enter()
            self.left.append((thread, number))

        self.lock.leave(call)

    def use(self, thread):
        for number in range(TIMES):
            if number % 3:
                self.leave(thread, number)
            else:
                self.hold()


def test_of_many_threads_no_call_is_lost_or_doubled_and_no_two_meet(many_switches):
    register = Register()
    threads = [threading.Thread(target=register.use, args=(n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert register.met == 0
    assert register.held == THREADS * len(range(0, TIMES, 3))
    numbers = [number for number in range(TIMES) if number % 3]
    for thread in range(THREADS):
        assert [number for of, number in register.left if of == thread] == numbers


def test_what_is_left_to_a_holder_is_done_when_the_outermost_lets_go():
    lock, said = CombiningLock(), []
    with lock:
        with lock:
            lock.leave(lambda: said.append("left"))
        said.append("inner is over")
    assert said == ["inner is over", "left"]


def test_what_another_thread_leaves_is_done_by_the_holder():
    lock, done_by = CombiningLock(), []
    with lock:
        other = threading.Thread(
            target=lock.leave, args=(lambda: done_by.append(threading.get_ident()),)
        )
        other.start()
        other.join()
        assert done_by == []
    assert done_by == [threading.get_ident()]


def test_a_call_may_leave_another_and_take_the_lock():
    lock, said = CombiningLock(), []

    def first():
        lock.leave(lambda: said.append("second"))
        with lock:
            said.append("first")

    lock.leave(first)
    assert said == ["first", "second"]


def test_an_error_inside_lets_go_of_the_lock():
    lock = CombiningLock()
    with pytest.raises(ZeroDivisionError), lock:
        1 / 0  # noqa: B018
    done = threading.Event()
    other = threading.Thread(target=lock.leave, args=(done.set,))
    other.start()
    other.join()
    assert done.is_set()
