"""A console with and without runs in it."""

import shutil
import threading
from contextlib import ExitStack, suppress

import pytest

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import StopRequested

from ..support.databases import database_url, pytest_runtest_setup  # noqa: F401
from .support import open_console, open_store


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Two folders with a store that is copied for each test: an empty one, and one with a run."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("empty", "filled")}
    for folder in folders.values():
        with open_store(folder) as store:
            store.prepare()
            if folder is folders["filled"]:
                open_console(store).run()
    return folders


@pytest.fixture
def store(prepared, tmp_path):
    """An empty store."""
    shutil.copytree(prepared["empty"], tmp_path, dirs_exist_ok=True)
    with open_store(tmp_path) as store:
        yield store


@pytest.fixture
def empty(store):
    """A console of a store without runs, which nobody has to sign in to."""
    console = open_console(store)
    with console.client:
        yield console


@pytest.fixture
def console(prepared, tmp_path):
    """A console of a store with one run: two tokens wait, one has failed, one is done."""
    shutil.copytree(prepared["filled"], tmp_path, dirs_exist_ok=True)
    with open_store(tmp_path) as store:
        console = open_console(store)
        console.runs = [run.uuid for run in store.runs().items]
        with console.client:
            yield console


@pytest.fixture
def guarded(store):
    """A console that one has to sign in to; nobody has."""
    console = open_console(store, token="correct horse battery")
    with console.client:
        yield console


@pytest.fixture
def hold(console):
    """Begins a run that goes on, in the console or elsewhere, until the test is over."""
    let_go = threading.Event()

    def hold(*, elsewhere=False):
        begun = threading.Event()

        def wait(obj, eng):
            begun.set()
            assert let_go.wait(30)

        name = f"held-{len(console.runs)}"
        console.store.definitions.add(name, [wait, wait])
        if elsewhere:
            eng = DbWorkflowEngine.with_name(name, store=console.store)
            thread = threading.Thread(target=process, args=(eng,))
            thread.start()
            until_the_end.callback(thread.join)
            uuid = eng.uuid
        else:
            uuid = console.parts.runner.start(name, [{}], "somebody else")
            until_the_end.callback(console.settled, uuid)
        assert begun.wait(30)
        console.runs.append(uuid)
        return uuid

    def process(eng):
        with suppress(StopRequested):
            eng.process([{}])

    hold.let_go = let_go.set
    with ExitStack() as until_the_end:
        yield hold
        let_go.set()
