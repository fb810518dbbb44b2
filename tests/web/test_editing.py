"""What is typed becomes what was meant."""

import json

from hypothesis import given
from hypothesis import strategies as st

from wfengine.store.serialization import Types
from wfengine.web.editing import fields_of, from_fields, from_json, json_text
from wfengine.web.rulings import choices_of
from wfengine.web.showing import brief, presentable, shown

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)
documents = st.dictionaries(st.text().filter(lambda key: key != "$"), values, max_size=8)


def same(one, other):
    return json.dumps(one) == json.dumps(other)


@given(documents)
def test_a_form_that_nobody_has_changed_changes_nothing(data):
    fields = fields_of(data)
    if fields is None:
        assert not data
        return
    edited = from_fields(
        data,
        [field.name for field in fields],
        [field.kind for field in fields],
        [field.text for field in fields],
    )
    assert edited.is_good, edited
    assert same(edited.structure, data)


@given(values)
def test_json_that_nobody_has_changed_changes_nothing_also_as_the_page_shows_it(data):
    edited = from_json(data, presentable(json_text(data)))
    assert edited.is_good, edited
    assert same(edited.structure, data)


@given(documents)
def test_an_instance_stays_one_of_its_class(data):
    structure = {"$": "birds:Record", "v": {"file": "f", "line": 3}, "of": data}
    edited = from_json(structure, json_text(structure))
    assert same(edited.structure, structure)


@given(documents, st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5))
def test_whatever_is_typed_is_kept_or_understood(data, typed):
    names, kinds, texts = ([each[place] for each in typed] for place in range(3))
    edited = from_fields(data, names, kinds, texts)
    if edited.is_good:
        Types().dumps(Types().decode(edited.structure))
    else:
        assert edited.problem
        assert [field.text for field in edited.fields] == texts


@given(st.text())
def test_whatever_is_typed_as_json_is_kept_or_understood(text):
    edited = from_json({"a": 1}, text)
    assert edited.text == text
    assert edited.is_good == isinstance(edited.structure, dict)


@given(values)
def test_anything_is_shown_and_never_too_much_of_it(data):
    found = shown(data, most=20)
    assert len(found.rows) <= 20
    assert all(len(row.text) <= 400 for row in found.rows)
    assert len(brief(data, 50)) <= 51


@given(values)
def test_any_payload_offers_something_to_choose(payload):
    for offered in (payload, {"choices": payload}, {"choices": [payload]}):
        choices = choices_of(offered)
        assert choices
        for choice in choices:
            json.loads(choice.json)
            assert len(choice.label) <= 200


def test_very_deep_data_are_shown_without_recursion():
    deep = []
    for _ in range(5000):
        deep = [deep]
    assert shown(deep).rows
    assert brief(deep)
