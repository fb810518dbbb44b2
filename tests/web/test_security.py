"""Who is refused: a table of all routes and verbs, walked for each way to be somebody else."""

import re

import pytest
from starlette.routing import Mount, Route

from wfengine.web.app import routes
from wfengine.web.security import HEADERS, Access
from wfengine.web.visits import Action

from .support import HERE, open_console

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
TOKEN = "correct horse battery"
OPEN = {("GET", "/sign-in"), ("HEAD", "/sign-in"), ("POST", "/sign-in")}
"""What can be asked for without being signed in, besides the style sheet and the script."""


def paths_of(console):
    """Return a path for each route of the application, as it really has them."""
    found = []
    for route in console.app.routes:
        if isinstance(route, Mount):
            found.append(f"{route.path}/console.css")
        else:
            assert isinstance(route, Route)
            found.append(re.sub(r"{(\w+)}", "1", route.path))
    return list(dict.fromkeys(found))


def actions():
    return [route for route in routes(1000) if isinstance(route, Action)]


def path_of(action):
    return re.sub(r"{(\w+)}", "1", action.path)


def sign_in(console, name="alice"):
    form = {"name": name, "token": TOKEN, "to": "/runs"}
    answer = console.client.post("/sign-in", data=form)
    assert answer.status_code == 200, answer.text
    console.get("/help")


def rows_of(store):
    """All that could be changed."""
    with store.session() as session:
        tables = ("workflow", "workflow_object", "task_execution", "workflow_audit")
        return [
            session.connection().exec_driver_sql(f"SELECT * FROM {table}").all() for table in tables
        ]


def test_the_table_has_all_routes_that_the_application_has(console):
    named = {(route.path, isinstance(route, Action)) for route in routes(1000)}
    served = {
        (route.path, "POST" in route.methods)
        for route in console.app.routes
        if isinstance(route, Route)
    }
    assert served == {*named, ("/live", False)}


def test_without_being_signed_in_nothing_is_served_with_any_verb(guarded):
    for path in paths_of(guarded):
        for verb in VERBS:
            answer = guarded.client.request(verb, path, follow_redirects=False)
            is_open = (verb, path) in OPEN or path.startswith("/static/")
            if is_open:
                continue
            refusals = (401, 403, 405) if path == "/sign-in" else (401, 403)
            assert answer.status_code in refusals, f"{verb} {path}: {answer.status_code}"
            assert "set-cookie" not in answer.headers


def test_who_looks_at_a_page_by_hand_is_led_to_where_to_sign_in(guarded):
    answer = guarded.client.get(
        "/pen?action=a&token=2", headers={"accept": "text/html"}, follow_redirects=False
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?to=/pen%3Faction%3Da%26token%3D2"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1:8000.elsewhere.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": HERE},
    ],
)
def test_a_form_from_another_site_changes_nothing(console, headers):
    console.get("/runs")
    before = rows_of(console.store)
    for action in actions():
        answer = console.client.post(
            path_of(action),
            data={"csrf": console.csrf, "sure": "yes"},
            headers=headers,
            follow_redirects=False,
        )
        assert answer.status_code == 403, f"{action.path}: {answer.status_code}"
    assert rows_of(console.store) == before


@pytest.mark.parametrize("csrf", [None, "", "0" * 64, "of another"])
def test_a_form_without_its_token_changes_nothing(guarded, csrf):
    sign_in(guarded)
    before = rows_of(guarded.store)
    if csrf == "of another":
        csrf = guarded.parts.access.sessions.begin("mallory").csrf
    for action in actions():
        form = {"sure": "yes", "name": "x", "theme": "dark"}
        if csrf is not None:
            form["csrf"] = csrf
        answer = guarded.client.post(path_of(action), data=form, follow_redirects=False)
        expected = 401 if action.is_open else 403
        assert answer.status_code == expected, f"{action.path}: {answer.status_code}"
    assert rows_of(guarded.store) == before


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_form_that_is_too_large_is_refused_before_it_is_read(console, is_chunked):
    console.get("/runs")
    form_type = {"content-type": "application/x-www-form-urlencoded", "origin": HERE}
    for action in actions():
        limit = next(
            each.most
            for each in routes(console.parts.largest_input)
            if each.path == action.path and isinstance(each, Action)
        )
        if limit > 2**21 and is_chunked:
            continue  # the same code, and tens of megabytes each
        body = f"csrf={console.csrf}&x=".encode()
        pieces = iter([body, *[b"y" * 65536] * (limit // 65536 + 1)])
        content = pieces if is_chunked else b"".join(pieces)
        answer = console.client.post(path_of(action), content=content, headers=form_type)
        assert answer.status_code == 413, f"{action.path}: {answer.status_code}"
        assert "nothing was changed" in answer.text


def test_every_answer_has_the_headers(console, guarded):
    for each in (console, guarded):
        for path in [*paths_of(each), "/nowhere", "/static/nothing"]:
            if path == "/live" and each is console:
                continue  # which does not end
            for verb in ("GET", "HEAD", "POST", "DELETE"):
                answer = each.client.request(verb, path, follow_redirects=False)
                missing = {k: v for k, v in HEADERS.items() if answer.headers.get(k) != v}
                assert not missing, f"{verb} {path}: {missing}"


def test_the_policy_allows_nothing_that_is_not_our_own():
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert "data:" not in policy


def test_pages_have_no_scripts_styles_or_handlers_in_them(console):
    for path in (
        "/runs",
        "/pen",
        "/pen?edit=form",
        f"/runs/{console.runs[0]}",
        "/tokens/2",
        "/definitions/one?name=birds",
        "/audit",
        "/help",
        "/sign-in",
    ):
        page = console.get(path)
        for tag, attributes in page.elements:
            assert tag != "style", path
            assert "style" not in attributes, path
            assert not [name for name in attributes if name.startswith("on")], path
            if tag == "script":
                assert attributes["src"] == "/static/console.js"
            for name in ("src", "href", "action", "formaction"):
                value = attributes.get(name)
                assert value is None or value.startswith(("/", "#")), f"{path}: {value}"


# Under which names


@pytest.mark.parametrize(
    "host", ["elsewhere.example", "127.0.0.1.elsewhere.example:8000", "localhost.evil:8000", ""]
)
def test_another_name_for_this_address_is_refused(console, host):
    answer = console.client.get("/runs", headers={"host": host})
    assert answer.status_code == 421
    assert "birds" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:1", "localhost", "[::1]:8000"])
def test_the_names_of_this_machine_are_known(console, host):
    assert console.client.get("/runs", headers={"host": host}).status_code == 200


def test_behind_a_proxy_the_public_name_is_known(store):
    console = open_console(store, token=TOKEN, public_url="https://console.example.org")
    with console.client:
        headers = {"host": "console.example.org", "origin": "https://console.example.org"}
        form = {"name": "alice", "token": TOKEN}
        answer = console.client.post("/sign-in", data=form, headers=headers, follow_redirects=False)
        assert answer.status_code == 303
        assert "; Secure" in answer.headers["set-cookie"]


# Signing in


def test_who_knows_the_token_is_let_in_under_their_name(guarded):
    sign_in(guarded, "alice <b>")
    page = guarded.get("/runs")
    assert "alice <b>" in page.text
    assert "Sign out" in page.text


def test_the_cookie_is_for_this_site_alone_and_not_for_scripts(guarded):
    answer = guarded.client.post(
        "/sign-in", data={"name": "alice", "token": TOKEN}, follow_redirects=False
    )
    cookie = answer.headers["set-cookie"]
    assert "; HttpOnly" in cookie
    assert "; SameSite=Strict" in cookie
    assert "; Path=/" in cookie
    assert TOKEN not in cookie


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN[:-1], "é", "\0"])
def test_who_does_not_know_the_token_is_not(guarded, token):
    answer = guarded.client.post("/sign-in", data={"name": "mallory", "token": token})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "\u202e"])
def test_everybody_has_a_name(guarded, name):
    answer = guarded.client.post("/sign-in", data={"name": name, "token": TOKEN})
    assert answer.status_code == 422


def test_after_five_failures_one_has_to_wait_even_with_the_token(guarded):
    for _ in range(5):
        guarded.client.post("/sign-in", data={"name": "mallory", "token": "guess"})
    answer = guarded.client.post("/sign-in", data={"name": "mallory", "token": TOKEN})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60


@pytest.mark.parametrize(
    ("to", "led_to"),
    [
        ("/pen?token=3", "/pen?token=3"),
        ("https://elsewhere.example", "/runs"),
        ("//elsewhere.example", "/runs"),
        ("/\\elsewhere.example", "/runs"),
        ("javascript:alert(1)", "/runs"),
        ("/a\r\nSet-Cookie: x=y", "/runs"),
        ("", "/runs"),
    ],
)
def test_signing_in_leads_nowhere_else(guarded, to, led_to):
    form = {"name": "alice", "token": TOKEN, "to": to}
    answer = guarded.client.post("/sign-in", data=form, follow_redirects=False)
    assert answer.headers["location"] == led_to


def test_signing_out_ends_the_session_also_for_a_copied_cookie(guarded):
    sign_in(guarded)
    cookies = dict(guarded.client.cookies)
    guarded.post("/sign-out")
    assert guarded.client.get("/runs", follow_redirects=False).status_code == 401
    guarded.client.cookies.update(cookies)
    assert guarded.client.get("/runs", follow_redirects=False).status_code == 401


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c[:-1],
        lambda c: "x" + c,
        lambda c: "",
        lambda c: "..." + c[-64:],
        lambda c: c.replace(".", "", 1),
        lambda c: "é" + c,
    ],
)
def test_a_cookie_that_was_tampered_with_is_none(change):
    access = Access(TOKEN)
    cookie = access.sessions.cookie(access.sessions.begin("alice"))
    assert access.sessions.read(cookie).name == "alice"
    assert access.sessions.read(change(cookie)) is None


def test_a_cookie_of_another_console_is_none():
    ours, theirs = Access(TOKEN), Access(TOKEN)
    assert ours.sessions.read(theirs.sessions.cookie(theirs.sessions.begin("alice"))) is None


def test_what_a_signed_in_person_does_is_written_down_under_their_name(guarded):
    sign_in(guarded, "alice")
    uuid = guarded.run()
    token = guarded.waiting()[0]
    guarded.post(f"/tokens/{token}/decide", {"decision": '"keep"'})
    guarded.post(f"/runs/{uuid}/delete", {"sure": "yes"})
    assert {(entry.action, entry.who) for entry in guarded.store.audit()} >= {
        ("decide", "alice"),
        ("delete", "alice"),
    }
