"""Looking at stored tokens: in pages, and each for itself."""

from datetime import UTC, datetime

import pytest
from attrs import define
from sqlalchemy import text

from wfengine.engine_db import DbWorkflowEngine
from wfengine.errors import DamagedDataError, HaltProcessing
from wfengine.status import ObjectStatus
from wfengine.store import Store, Types, views

NOW = 1_700_000_000.0


@define
class Parcel:
    weight: int
    label: str = ""


def weigh(token, eng):
    if isinstance(token, Parcel) and token.weight > 9:
        eng.halt("too heavy", action="approve", payload={"limit": (9, "kg")})


def fail(token, eng):
    raise ValueError(f"no {token}")


@pytest.fixture
def store(emptied_url):
    with Store(emptied_url, clock=lambda: NOW) as found:
        yield found


def run(store, tokens, definition=weigh, **how):
    eng = DbWorkflowEngine.with_name(
        "looked at", store=store, definition=[definition], **{"checkpoint": "halt", **how}
    )
    eng.process(tokens, stop_on_halt=False, stop_on_error=False)
    return eng


def damage(store, change, **values):
    with store.database.writing() as connection:
        connection.execute(text(f"UPDATE workflow_object SET {change}"), values)


@pytest.fixture
def pages(monkeypatch):
    """The number of rows that each query for tokens brings."""
    counts = []
    read = views.StoredTokens._read

    def counted(self, *arguments):
        found = read(self, *arguments)
        counts.append(len(found))
        return found

    monkeypatch.setattr(views.StoredTokens, "_read", counted)
    return counts


# As a sequence


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 600])
def test_the_tokens_of_a_run_are_a_sequence_of_all_of_them_in_order(store, count):
    tokens = store.tokens(run(store, list(range(count))).uuid)
    assert len(tokens) == count
    assert [token.data for token in tokens] == list(range(count))
    assert [token.data for token in reversed(tokens)] == list(range(count))[::-1]


def test_an_index_counts_from_either_end_and_no_further(store):
    tokens = store.tokens(run(store, list(range(20))).uuid)
    assert [tokens[n].data for n in (0, 19, -1, -20)] == [0, 19, 19, 0]
    for index in (20, -21):
        with pytest.raises(IndexError, match="there are 20"):
            tokens[index]
    with pytest.raises(TypeError):
        tokens["0"]


@pytest.mark.parametrize(
    "wanted",
    [
        slice(None),
        slice(3, 7),
        slice(-5, None),
        slice(None, None, 3),
        slice(None, None, -4),
        slice(17, 2, -3),
        slice(5, 5),
        slice(30, 40),
        slice(2, 100),
    ],
)
def test_a_slice_is_the_list_that_it_would_be_of_a_list(store, wanted):
    expected = list(range(20))
    found = store.tokens(run(store, expected).uuid)[wanted]
    assert isinstance(found, list)
    assert [token.data for token in found] == expected[wanted]


def test_a_status_chooses_those_that_have_it(store):
    eng = run(store, [Parcel(1), Parcel(10), Parcel(2), Parcel(11)])
    halted = store.tokens(eng.uuid, ObjectStatus.HALTED)
    assert [token.token_pos for token in halted] == [1, 3]
    assert halted[-1].data == Parcel(11)
    assert len(store.tokens(eng.uuid, ObjectStatus.ERROR)) == 0


def test_it_shows_what_is_there_now_and_not_what_was(store):
    eng = run(store, [Parcel(10)])
    halted = store.tokens(eng.uuid, ObjectStatus.HALTED)
    assert len(halted) == 1
    eng.resume(halted[0].id)
    assert len(halted) == 0
    assert list(halted) == []


def test_each_token_is_met_once_although_tokens_change_their_status_meanwhile(store):
    eng = run(store, [Parcel(10 + n) for n in range(40)])
    met = []
    for token in store.tokens(eng.uuid, ObjectStatus.HALTED):
        met.append(token.token_pos)
        damage(store, "status = 'COMPLETED' WHERE id = :id", id=token.id)
    assert met == list(range(40))


def test_however_many_there_are_only_a_page_of_them_is_read_at_once(store, pages):
    tokens = store.tokens(run(store, list(range(2000))).uuid)
    assert sum(token.data for token in tokens) == sum(range(2000))
    assert max(pages) == 256
    assert len(pages) < 16


def test_one_by_its_index_is_read_alone(store, pages):
    tokens = store.tokens(run(store, list(range(50))).uuid)
    assert (tokens[40].data, tokens[-1].data) == (40, 49)
    assert pages == [1, 1]


def test_of_large_tokens_few_are_read_at_once(store, pages):
    large = "x" * 400_000
    tokens = store.tokens(run(store, [large] * 60).uuid)
    assert all(token.data == large for token in tokens)
    assert pages[:3] == [16, 8, 4]
    assert max(pages[3:]) <= 4


def test_counting_them_reads_none(store, pages):
    tokens = store.tokens(run(store, list(range(30))).uuid)
    assert len(tokens) == 30
    assert pages == []


# One token


def test_a_halted_token_says_what_has_to_be_decided(store):
    eng = run(store, [Parcel(10)])
    [token] = eng.halted_objects
    assert (token.action, token.message, token.payload) == (
        "approve",
        "too heavy",
        {"limit": (9, "kg")},
    )
    assert (token.status, token.outcome, token.path, token.steps) == (
        ObjectStatus.HALTED,
        "halted",
        "0",
        1,
    )
    assert token.since == datetime.fromtimestamp(NOW, UTC)
    assert token.id_workflow == eng.uuid
    assert (token.decision, token.error, token.damage) == (None, None, "")


def test_a_decision_that_is_not_handed_over_yet_is_shown(store):
    eng = run(store, [Parcel(10)])
    store.decide(eng.halted_objects[0].id, {"accept": (True,)}, by="Ada")
    decision = eng.halted_objects[0].decision
    assert (decision["decision"], decision["by"]) == ({"accept": (True,)}, "Ada")


def test_a_failed_token_says_why(store):
    eng = run(store, ["x"], definition=fail)
    [token] = eng.database_objects
    assert token.status is ObjectStatus.ERROR
    assert (token.error["type"], token.error["message"]) == ("ValueError", "no x")
    assert (token.error["task"], token.error["path"]) == ("fail", "0")


def test_data_are_the_same_object_each_time_and_plain_data_are_not_shared(store):
    [token] = run(store, [{"n": [1]}]).database_objects
    assert token.data is token.data
    token.plain_data["n"].append(2)
    assert token.plain_data == {"n": [1]}


def test_a_type_that_is_not_known_here_leaves_the_plain_data_to_be_looked_at(store):
    uuid = run(store, [Parcel(3, "to Bonn"), {"n": 1}]).uuid
    with Store(store.database.url) as other:
        first, second = other.tokens(uuid)
        with pytest.raises(DamagedDataError, match="nobody registered here") as caught:
            _ = first.data
        assert caught.value.row == f"workflow_object {first.id}"
        assert first.plain_data == Types().plain(store.types.dumps(Parcel(3, "to Bonn")))
        assert second.data == {"n": 1}


# Damage


def test_damaged_data_are_told_when_they_are_touched_and_not_before(store):
    tokens = store.tokens(run(store, [1, 2, 3]).uuid)
    damage(store, "data = '{broken' WHERE token_pos = 1")
    first, second, third = tokens
    assert (first.data, third.data, second.status) == (1, 3, ObjectStatus.COMPLETED)
    for name in ("data", "plain_data"):
        with pytest.raises(DamagedDataError, match="no JSON") as caught:
            getattr(second, name)
        assert caught.value.row == f"workflow_object {second.id}"


@pytest.mark.parametrize("name", ["payload", "decision", "error"])
@pytest.mark.parametrize("content", ["{", "NaN", '{"$": "os:system", "v": "ls"}', "[1"])
def test_another_damaged_document_is_told_when_it_is_touched(store, name, content):
    tokens = store.tokens(run(store, [1]).uuid)
    damage(store, f"{name} = :content", content=content)
    [token] = tokens
    assert token.data == 1
    if not (name == "error" and "os" in content):  # which is plain, and shown as it is
        with pytest.raises(DamagedDataError) as caught:
            getattr(token, name)
        assert caught.value.row == f"workflow_object {token.id}"


def test_an_error_that_is_no_document_is_damage(store):
    [token] = run(store, [1]).database_objects
    damage(store, "error = '[1]'")
    [token] = store.tokens(token.id_workflow)
    with pytest.raises(DamagedDataError, match="no document"):
        _ = token.error


@pytest.mark.parametrize(
    ("change", "said", "status"),
    [
        ("status = 'GONE'", "'GONE' is no status", None),
        ("status = '<script>'", "is no status", None),
        ("callback_pos = '../1'", "'../1' is no position", ObjectStatus.COMPLETED),
        ("callback_pos = ''", "is no position", ObjectStatus.COMPLETED),
        ("callback_pos = '-1'", "is no position", ObjectStatus.COMPLETED),
        ("visits = '0.0.0.0'", "does not fit position", ObjectStatus.COMPLETED),
        ("since = 'now'", "'now' is no time", ObjectStatus.COMPLETED),
        ("since = 1e300", "is no time", ObjectStatus.COMPLETED),
    ],
)
def test_a_damaged_row_says_so_and_the_others_are_listed(store, change, said, status):
    if change == "since = 'now'" and store.database.engine.dialect.name != "sqlite":
        return  # the others do not let a text in
    tokens = store.tokens(run(store, [1, 2, 3]).uuid)
    damage(store, f"{change} WHERE token_pos = 1")
    found = list(tokens)
    assert [token.data for token in found] == [1, 2, 3]
    assert said in found[1].damage
    assert found[1].status is status
    assert [found[0].damage, found[2].damage] == ["", ""]
    assert (found[1].since is None) == ("since" in change)


def test_a_damaged_token_can_be_found_by_its_id(store):
    tokens = store.tokens(run(store, [1, 2]).uuid)
    wanted = tokens[1]
    damage(store, "status = 'GONE' WHERE token_pos = 1")
    found = tokens.find(wanted.id)
    assert found is not None
    assert found.damage
    assert tokens.find(10**9) is None
    other = store.tokens(run(store, [1]).uuid)
    assert other.find(wanted.id) is None


def test_the_same_rows_make_equal_tokens(store):
    tokens = store.tokens(run(store, [1, 1]).uuid)
    assert tokens[0] == tokens[0]
    assert tokens[0] != tokens[1]
    assert len({*tokens, *tokens}) == 2


def test_its_text_says_which_tokens_these_are(store):
    eng = run(store, [1])
    assert repr(eng.database_objects) == f"<the tokens of run {eng.uuid}>"
    assert "Need action" in repr(eng.halted_objects)


# On every database


def test_tokens_are_paged_alike_on_every_database(database_url):
    with Store(database_url) as store:
        eng = DbWorkflowEngine.with_name("paged", store=store, definition=[weigh])
        with pytest.raises(HaltProcessing):
            eng.process([*range(40), Parcel(10), *range(5)])
        tokens = store.tokens(eng.uuid)
        assert len(tokens) == 46
        assert [token.token_pos for token in tokens] == list(range(46))
        assert [token.token_pos for token in tokens[38:44:2]] == [38, 40, 42]
        assert tokens[-1].status is ObjectStatus.INITIAL
        assert eng.halted_objects[0].data == Parcel(10)
        assert eng.halted_objects[0].payload == {"limit": (9, "kg")}
