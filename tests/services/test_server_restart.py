"""A PostgreSQL server of the tests' own that is stopped and started again under a run."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from wfengine.errors import StoreError
from wfengine.store import Store

from . import work

USER = "postgres"
FOLDERS = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]


def find(program):
    """Return the path of one of PostgreSQL's programs, or None."""
    found = shutil.which(program, path=os.pathsep.join(map(str, FOLDERS)))
    return found or shutil.which(program)


class Server:
    """A server with an empty database, in a folder of its own."""

    def __init__(self, folder):
        self._data = Path(folder) / "data"
        self._log = Path(folder) / "log"
        self._as = {"user": USER} if os.geteuid() == 0 else {}
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/postgres"
        self._do("initdb", "-N", "-U", USER, "-A", "trust", "-D", str(self._data))

    def _do(self, program, *arguments):
        subprocess.run(
            [find(program), *arguments],
            check=True,
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            timeout=60,
            **self._as,
        )

    def start(self):
        options = f"-p {self.port} -h 127.0.0.1 -c unix_socket_directories="
        self._do(
            "pg_ctl", "-D", str(self._data), "-l", str(self._log), "-w", "-o", options, "start"
        )

    def stop(self, mode="immediate"):
        self._do("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def is_up(self):
        return (self._data / "postmaster.pid").exists()


@pytest.fixture(scope="module")
def server():
    if not (find("initdb") and find("pg_ctl")):
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed")
    folder = tempfile.mkdtemp(prefix="wfengine-test-")
    if os.geteuid() == 0:
        try:
            shutil.chown(folder, USER)
        except LookupError:
            shutil.rmtree(folder)
            pytest.skip(f"there is no user {USER}, and PostgreSQL does not run as root")
    server = Server(folder)
    server.start()
    yield server
    if server.is_up():
        server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def stop_at(token_number, act):
    """Return a task that does something to the server, once."""
    done = []

    def strike(token, eng):
        if token["number"] == token_number and not done:
            done.append(True)
            act()

    return strike


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_run_goes_on_by_itself_after_a_quick_restart(server, mode):
    with Store(server.url) as store:

        def restart():
            server.stop(mode)
            server.start()

        eng = work.begin(store, [stop_at(1, restart), *work.DEFINITION])
        eng.process(work.tokens())
        assert [token.data["seen"] for token in eng.final_objects] == [work.ALL, work.ALL]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_run_whose_server_stays_down_stops_and_is_resumed_when_it_is_back(server, mode):
    with Store(server.url) as store:
        definition = [stop_at(1, lambda: server.stop(mode)), *work.DEFINITION]
        eng = work.begin(store, definition)
        with pytest.raises(StoreError, match=rf"127.0.0.1:{server.port}"):
            eng.process(work.tokens())
        server.start()
    with work.later(server.url) as later:
        again = work.DbWorkflowEngine.from_uuid(eng.uuid, store=later, definition=definition)
        again.resume()
        assert [token.data["seen"] for token in again.final_objects] == [work.ALL, work.ALL]


def test_restarts_at_random_moments_cost_and_double_nothing(server):
    count, over, failures = 30, threading.Event(), []
    with Store(server.url, lease_seconds=0.5) as store:
        eng = work.begin(store)

        def run():
            while not over.is_set():
                try:
                    work.finish(store, eng.uuid, count)
                except Exception as error:  # noqa: BLE001 - looked at below
                    failures.append(error)
                else:
                    over.set()

        thread = threading.Thread(target=run)
        thread.start()
        restarts = 0
        while not over.wait(0.15) and restarts < 3:
            server.stop("immediate")
            server.start()
            restarts += 1
        thread.join(60)
        over.set()
        assert restarts
        work.assert_exact(store, eng.uuid, count)
    assert all(isinstance(error, StoreError | work.DBAPIError) for error in failures)
