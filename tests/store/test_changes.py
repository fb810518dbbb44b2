"""The change between two documents is small, fits its document, and can be made to others."""

import json
from collections import Counter, deque
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfengine.errors import DamagedDataError
from wfengine.store.changes import MISSING, Difference, apply, diff, differences, merge, same
from wfengine.store.serialization import Types

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 2.5])
    | st.sampled_from(["", "a", "$", "é"])
)
KEYS = st.sampled_from(["a", "b", "c", "$", "v", "to", "len", "x y"])
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inside: (
        st.lists(inside, max_size=5)
        | st.dictionaries(KEYS, inside, max_size=5)
        | st.builds(lambda v: {"$": "shop:Order", "v": v}, st.dictionaries(KEYS, inside))
        | st.builds(
            lambda tag, v: {"$": tag, "v": v},
            st.sampled_from(["set", "dict", "tuple", "date", "Counter"]),
            st.lists(inside) | st.lists(st.lists(inside, min_size=2, max_size=2)),
        )
    ),
    max_leaves=20,
)


def text(document):
    return json.dumps(document)


def stored(change):
    return json.loads(json.dumps(change))


@given(DOCUMENTS, DOCUMENTS)
def test_a_change_makes_the_new_document_of_the_old_one(old, new):
    before = text([old, new])
    change = diff(old, new)
    assert text(apply(stored(change), old)) == text(new)
    assert text([old, new]) == before
    assert (change is None) == (text(old) == text(new)) == same(old, new)


@st.composite
def edited(draw):
    """A document and what a few small changes make of it."""
    old = draw(st.lists(DOCUMENTS, min_size=1, max_size=6) | st.dictionaries(KEYS, DOCUMENTS))
    new = json.loads(text(old))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.sampled_from(list(containers(new))))
        if isinstance(place, dict):
            key = draw(KEYS)
            if draw(st.booleans()):
                place.pop(key, None)
            else:
                place[key] = draw(DOCUMENTS)
        else:
            start = draw(st.integers(0, len(place)))
            place[start : start + draw(st.integers(0, 2))] = draw(st.lists(DOCUMENTS, max_size=2))
    return old, new


def containers(document):
    if isinstance(document, dict | list):
        yield document
        for item in document.values() if isinstance(document, dict) else document:
            yield from containers(item)


@given(edited())
def test_a_document_that_was_edited_is_made_again(pair):
    old, new = pair
    assert text(apply(stored(diff(old, new)), old)) == text(new)
    assert text(merge(stored(diff(old, new)), old)) == text(new)


@given(DOCUMENTS)
def test_nothing_changed_in_the_same_document(document):
    assert diff(document, json.loads(text(document))) is None
    assert diff(document, document) is None
    assert apply(None, document) is document
    assert merge(None, document) is document
    assert differences(document, json.loads(text(document))) == []


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_a_change_can_be_merged_into_any_document(old, new, other):
    before = text(other)
    change = diff(old, new)
    merged = merge(stored(change), other)
    assert text(other) == before
    if change is None or "tag" in change:
        return
    assert text({key: merged[key] for key in change.get("set", {})}) == text(change.get("set", {}))
    assert not set(change.get("drop", ())).intersection(merged if isinstance(merged, dict) else ())


@given(DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_a_change_of_another_document_is_made_or_does_not_fit(old, new, other):
    change = diff(old, new)
    before = text([change, other])
    with suppress(DamagedDataError):
        apply(change, other)
    assert text([change, other]) == before


@given(DOCUMENTS, DOCUMENTS)
def test_whatever_changed_is_among_the_differences(old, new):
    assert bool(differences(old, new)) == (text(old) != text(new))


@given(DOCUMENTS, DOCUMENTS)
def test_any_json_is_a_change_or_is_damage(change, document):
    for act in (apply, merge):
        try:
            act(change, document)
        except DamagedDataError:
            continue


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        (0, False),
        ("", None),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ([1], [True]),
        ({"a": [{"b": 0.0}]}, {"a": [{"b": -0.0}]}),
        ([], {}),
        (None, []),
    ],
    ids=str,
)
def test_documents_with_different_texts_differ(old, new):
    assert text(apply(stored(diff(old, new)), old)) == text(new)
    assert differences(old, new)


def test_the_order_of_keys_is_kept_when_one_comes_between():
    old, new = {"a": 1, "c": 3}, {"a": 1, "b": 2, "c": 3}
    assert list(apply(stored(diff(old, new)), old)) == ["a", "b", "c"]


# --- size


def big(size=10_000):
    return {"lines": [{"name": f"line {n}", "price": n} for n in range(size)], "log": ["a"] * size}


def size_of(old, new):
    return len(text(diff(old, new)))


EDITS = {
    "append": lambda lines: lines.append({"name": "new"}),
    "insert at the front": lambda lines: lines.insert(0, {"name": "new"}),
    "insert in the middle": lambda lines: lines.insert(5000, {"name": "new"}),
    "take the first": lambda lines: lines.pop(0),
    "take the last": lambda lines: lines.pop(),
    "take one in the middle": lambda lines: lines.pop(5000),
    "change one": lambda lines: lines[5000].update(price=0),
    "change one and append": lambda lines: (lines[3].update(price=0), lines.append({"n": 1})),
    "replace two by one": lambda lines: lines.__setitem__(slice(5, 7), [{"name": "new"}]),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_small_edit_of_a_large_document_is_a_small_change(edit):
    old, new = big(), big()
    edit(new["lines"])
    assert size_of(old, new) < 130
    assert text(apply(diff(old, new), old)) == text(new)


def test_an_append_of_an_equal_item_is_an_append():
    assert diff([1, 2, 2], [1, 2, 2, 2]) == {"len": 3, "from": 3, "put": [2]}


TAGGED = {
    "set": lambda types, size: types.encode(set(range(size))),
    "dict": lambda types, size: types.encode({n: f"line {n}" for n in range(size)}),
    "Counter": lambda types, size: types.encode(Counter(range(size))),
    "tuple": lambda types, size: types.encode(tuple(range(size))),
    "deque": lambda types, size: types.encode(deque(range(size))),
}


@pytest.mark.parametrize("encoded", TAGGED.values(), ids=TAGGED)
def test_what_is_stored_with_a_tag_changes_by_its_items(encoded):
    types = Types()
    old, new = encoded(types, 10_000), encoded(types, 10_001)
    assert size_of(old, new) < 130
    assert text(apply(stored(diff(old, new)), old)) == text(new)
    assert text(apply(stored(diff(new, old)), new)) == text(old)


# --- depth


def nested(depth, inside, wrap):
    for _ in range(depth):
        inside = wrap(inside)
    return inside


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: [1, {"b": x}]])
@pytest.mark.parametrize("depth", [49, 50, 51, 200, 400])
def test_a_change_far_down_is_found_and_made(wrap, depth):
    old, new = nested(depth, 1, wrap), nested(depth, True, wrap)
    assert diff(old, nested(depth, 1, wrap)) is None
    assert differences(old, new) != []
    made = apply(diff(old, new), old)
    assert same(made, new)
    assert not same(made, old)


def test_documents_deeper_than_the_stack_are_compared():
    old, new = nested(100_000, 1, lambda x: [x]), nested(100_000, 2, lambda x: [x])
    assert diff(old, new) is not None
    assert same(apply(diff(old, new), old), new)
    assert same(merge(diff(old, new), 1), new) is False
    for document in (old, new):
        part = document
        while isinstance(part, list):
            part = part.pop()


def test_a_change_nested_too_deep_is_damage():
    change = nested(900, {"to": 1}, lambda x: {"at": {"a": x}})
    with pytest.raises(DamagedDataError):
        apply(change, nested(900, 1, lambda x: {"a": x}))
    with pytest.raises(DamagedDataError):
        merge(change, None)


# --- merging


@pytest.mark.parametrize(
    ("old", "new", "other", "merged"),
    [
        ({"a": 1}, {"a": 2}, {"a": 3, "b": 4}, {"a": 2, "b": 4}),
        ({"a": 1}, {}, {"b": 4}, {"b": 4}),
        ({"a": 1, "b": 1}, {"b": 1}, {"a": 5, "b": 4}, {"b": 4}),
        ({"a": 1}, {"a": 1, "b": 2}, {"c": 3}, {"c": 3, "b": 2}),
        ([1], [1, 2], [1, 5, 6], [1, 5, 6, 2]),
        ([1], [1, 2], [], [2]),
        ([1, 2], [2], [1, 2, 3], [2, 3]),
        ([1, 2], [1, 3], [9], [9]),
        ([1, 2], [1, 3], [9, 8, 7], [9, 3, 7]),
        ([1, 3], [1, 2, 3], [1], [1, 2]),
        ({"a": [1]}, {"a": [1, 2]}, {}, {"a": [2]}),
        ({"a": [1]}, {"a": [1, 2]}, {"a": "gone"}, {"a": [2]}),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 1}}, {"a": None}, {"a": {"b": 2}}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"c": 0, "a": 5, "b": 6}, {"b": 6, "a": 5, "c": 0}),
        (1, 2, {"a": 1}, 2),
    ],
    ids=str,
)
def test_a_change_applies_to_another_document_where_it_can(old, new, other, merged):
    assert text(merge(stored(diff(old, new)), other)) == text(merged)


def merged(old, new, other):
    types = Types()
    change = stored(diff(types.encode(old), types.encode(new)))
    return types.decode(merge(change, types.encode(other)))


def test_sets_are_merged_by_their_items():
    assert merged({1, 2}, {2, 3}, {1, 2, 3, 4}) == {2, 3, 4}


def test_dicts_with_any_keys_are_merged_by_them():
    assert merged({1: "a", 2: "b"}, {1: "x", 3: "c"}, {3: "y", 1: "z", 4: "d"}) == {
        3: "c",
        1: "x",
        4: "d",
    }


def test_values_that_make_sense_as_wholes_are_merged_as_wholes():
    midday = datetime(2024, 1, 1, 12, tzinfo=UTC)
    later = midday.replace(hour=13)
    elsewhere = midday.replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert str(merged(midday, later, elsewhere)) == str(later)
    assert merged(Fraction(1, 3), Fraction(2, 3), Fraction(1, 5)) == Fraction(2, 3)


def test_a_change_inside_one_type_leaves_another_alone():
    assert merged({"a": (1, 2)}, {"a": (1, 3)}, {"a": Decimal(1)}) == {"a": Decimal(1)}
    assert merged({"a": {1}}, {"a": {2}}, {"a": None}) == {"a": None}


# --- damage


@pytest.mark.parametrize(
    "change",
    [
        {},
        [],
        1,
        "to",
        {"to": 1, "set": {}},
        {"what": 1},
        {"set": []},
        {"drop": {"a": 1}},
        {"drop": [["a"]]},
        {"order": [1]},
        {"at": {"a": None}},
        {"at": {"a": {}}},
        {"len": True},
        {"items": [], "from": 0},
        {"len": 2, "items": [0]},
        {"len": 2, "items": [[0]]},
        {"len": 2, "items": [["a", {"to": 1}]]},
        {"len": 2, "items": [[0, 5]]},
        {"len": 2, "from": -1, "cut": 1},
        {"len": 2, "from": 1, "cut": -1},
        {"len": -1},
        {"len": 2, "put": "ab"},
        {"len": 2, "set": {"a": 1}},
        {"tag": "set", "view": {"to": 1}},
        {"tag": "set", "view": 1},
        {"tag": "tuple", "view": {"set": {}}},
        {"view": {"set": {}}},
        {"tag": 1, "set": {}},
    ],
    ids=json.dumps,
)
def test_what_is_no_change_is_damage(change):
    for act in (apply, merge):
        for document in ({"a": 1}, [1, 2]):
            with pytest.raises(DamagedDataError):
                act(change, document)


@pytest.mark.parametrize(
    ("change", "document"),
    [
        ({"set": {"a": 1}}, [1]),
        ({"set": {"a": 1}}, None),
        ({"drop": ["a"]}, {}),
        ({"set": {"v": 1}}, {"$": "set", "v": []}),
        ({"tag": "a:B", "set": {"v": 1}}, {"$": "a:C", "v": []}),
        ({"tag": "set", "view": {"set": {"1": None}}}, {"$": "set", "v": [2, 1]}),
        ({"tag": "set", "view": {"set": {"1": None}}}, {"$": "set", "v": 1}),
        ({"tag": "set", "view": {"set": {"?": None}}}, {"$": "set", "v": [1]}),
        ({"tag": "set", "view": {"drop": ["2"]}}, {"$": "set", "v": [1]}),
        ({"tag": "dict", "view": {"set": {"1": None}}}, {"$": "dict", "v": [1]}),
        ({"at": {"a": {"to": 1}}}, {}),
        ({"order": ["a"]}, {"a": 1, "b": 2}),
        ({"order": ["a", "a"]}, {"a": 1, "b": 2}),
        ({"len": 1, "from": 1, "put": [1]}, [1, 2]),
        ({"len": 1, "from": 1, "put": [1]}, {"a": 1}),
        ({"len": 1, "from": 0, "cut": 2}, [1]),
        ({"len": 1, "items": [[1, {"to": 1}]]}, [1]),
        ({"len": 1, "items": [[-1, {"to": 1}]]}, [1]),
    ],
    ids=json.dumps,
)
def test_a_change_that_does_not_fit_is_damage_and_makes_nothing(change, document):
    before = text(document)
    with pytest.raises(DamagedDataError):
        apply(change, document)
    assert text(document) == before


# --- for a person


def test_differences_name_each_place():
    old = {"lines": [{"price": 1}, {"price": 2}, {"price": 3}], "state": "new", "x y": 1}
    new = {"lines": [{"price": 1}, {"price": 2}, {"price": 4}, {"price": 5}], "x y": 2, "by": "me"}
    assert differences(old, new) == [
        Difference("lines[2].price", 3, 4),
        Difference("lines[3]", MISSING, {"price": 5}),
        Difference("state", "new", MISSING),
        Difference("['x y']", 1, 2),
        Difference("by", MISSING, "me"),
    ]


def test_differences_go_through_stored_instances():
    old = {"$": "shop:Order", "v": {"size": {"$": "tuple", "v": [1, 2]}}, "x": {"note": 1}}
    new = {"$": "shop:Order", "v": {"size": {"$": "tuple", "v": [1, 3]}}, "x": {"note": 2}}
    assert differences(old, new) == [Difference("size[1]", 2, 3), Difference("note", 1, 2)]


def test_other_tagged_values_are_told_as_wholes():
    old, new = {"$": "date", "v": "2024-01-01"}, {"$": "date", "v": "2024-01-02"}
    assert differences({"day": old}, {"day": new}) == [Difference("day", old, new)]


def test_a_new_order_of_keys_is_told_as_a_whole():
    old, new = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert differences([old], [new]) == [Difference("[0]", old, new)]


def test_what_is_missing_says_so():
    assert repr(MISSING) == "MISSING"
