"""Sessions end, failures are forgotten, and neither grows without bound."""

from wfengine.web.sessions import LIFETIME, MOST, Notice, Notices, Sessions, Throttle


class Time:
    def __init__(self):
        self.now = 1_000_000.0

    def __call__(self):
        return self.now


def test_a_session_ends_when_nobody_comes_for_long():
    time = Time()
    sessions = Sessions(time)
    cookie = sessions.cookie(sessions.begin("alice"))
    time.now += LIFETIME - 1
    assert sessions.read(cookie).name == "alice"
    time.now += 2
    assert sessions.read(cookie) is None


def test_who_works_stays_signed_in_with_the_forms_that_are_open():
    time = Time()
    sessions = Sessions(time)
    session = sessions.begin("alice")
    assert not sessions.is_old(session)
    time.now += LIFETIME / 2
    assert sessions.is_old(session)
    renewed = sessions.renewed(session)
    assert (renewed.csrf, renewed.number, renewed.name) == (
        session.csrf,
        session.number,
        session.name,
    )
    time.now += LIFETIME - 1
    assert sessions.read(sessions.cookie(renewed)) is not None


def test_two_sessions_have_nothing_in_common():
    sessions = Sessions()
    first, second = sessions.begin("alice"), sessions.begin("alice")
    assert first.csrf != second.csrf
    assert sessions.cookie(first) != sessions.cookie(second)
    sessions.end(first)
    assert sessions.read(sessions.cookie(first)) is None
    assert sessions.read(sessions.cookie(second)) is not None


def test_a_throttle_lets_in_again_after_a_while_and_one_address_is_not_another():
    time = Time()
    throttle = Throttle(3, 60.0, time)
    for _ in range(3):
        assert throttle.wait("here") == 0
        throttle.fail("here")
    assert 0 < throttle.wait("here") <= 60
    assert throttle.wait("there") == 0
    time.now += 61
    assert throttle.wait("here") == 0


def test_what_is_remembered_of_strangers_is_bounded():
    throttle = Throttle(3, 60.0)
    notices, sessions = Notices(), Sessions()
    for number in range(MOST + 10):
        throttle.fail(str(number))
    for _ in range(20):
        notices.add(sessions.begin("x"), Notice("said"))
    assert len(throttle._failed) == MOST


def test_a_notice_is_said_once_to_whom_it_is_for():
    sessions, notices = Sessions(), Notices()
    alice, bob = sessions.begin("alice"), sessions.begin("bob")
    notices.add(alice, Notice("done"))
    assert notices.take(bob) == []
    assert [notice.text for notice in notices.take(alice)] == ["done"]
    assert notices.take(alice) == []
