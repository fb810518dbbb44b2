"""How a console is started: what is refused before anything is served."""

import socket

import pytest

from wfengine.errors import WorkflowAPIError, WorkflowDefinitionError
from wfengine.web import serving
from wfengine.web.security import is_loopback
from wfengine.web.serving import serve


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token": "short"}, "a token has at least 12"),
        ({"token": " " * 20}, "a token has at least 12"),
        ({"host": "192.0.2.1"}, "cannot listen at 192.0.2.1"),
        ({"host": "nowhere.invalid"}, "cannot listen at nowhere.invalid"),
        ({"port": 70_000}, "port 70000"),
        ({"public_url": "console.example.org"}, "the public URL is one like"),
        ({"public_url": "https://console.example.org/below"}, "at the root of a host"),
        ({"public_url": "javascript:alert(1)"}, "the public URL is one like"),
    ],
)
def test_what_cannot_be_meant_is_refused(store, options, said):
    with pytest.raises(WorkflowAPIError, match=said):
        serve(store, **{"port": 0, **options})


def test_a_port_that_is_taken_is_named(store):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(WorkflowAPIError, match=f"port {port}"):
            serve(store, port=port)


def test_a_definition_that_cannot_be_imported_is_named_and_nothing_served(store):
    with pytest.raises(WorkflowDefinitionError, match=r"there is no file 'nowhere\.py'"):
        serve(store, port=0, targets=["nowhere.py:workflow"])


@pytest.fixture
def started(store, monkeypatch):
    """Starts a console that ends at once; returns what was printed, and who may use it."""

    def started(**options):
        lines, apps = [], []
        monkeypatch.setattr(
            serving._Server, "run", lambda server, sockets: apps.append(server._console.access)
        )
        serve(store, port=0, say=lines.append, **options)
        return lines, apps[0]

    return started


def test_on_this_machine_alone_nobody_has_to_sign_in(started):
    lines, access = started()
    assert "http://127.0.0.1:" in lines[0]
    assert access.token is None


@pytest.mark.parametrize("options", [{"asks": True}, {"public_url": "https://console.example.org"}])
def test_where_others_can_come_a_token_is_made_and_printed_once(started, options):
    lines, access = started(**options)
    assert len(access.token) >= 32
    assert "\n".join(lines).count(access.token) == 1
    assert started(**options)[1].token != access.token


def test_a_token_that_was_given_is_not_printed(started):
    lines, access = started(asks=True, token="correct horse battery")
    assert access.token == "correct horse battery"
    assert access.token not in "\n".join(lines)
    assert access.token not in repr(access)


@pytest.mark.parametrize(
    ("options", "is_open"),
    [
        ({}, False),
        ({"asks": True}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "0.0.0.0", "public_url": "https://console.example.org"}, False),
        ({"public_url": "http://console.example.org"}, True),
        ({"public_url": "http://localhost:8080"}, False),
    ],
)
def test_where_the_token_can_be_read_on_its_way_that_is_said_in_one_line(started, options, is_open):
    lines, _ = started(**options)
    said = [line for line in lines if "unencrypted" in line]
    assert len(said) == is_open
    assert all("--public-url https://" in line and "\n" not in line for line in said)
    assert lines[-1] == "Ctrl-C ends it."


@pytest.mark.parametrize(
    ("host", "is_local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.2", False),
        ("console.example.org", False),
        ("127.0.0.1.example.org", False),
    ],
)
def test_which_addresses_only_this_machine_can_reach(host, is_local):
    assert is_loopback(host) == is_local
