"""ExecutionContext: values by name, each set once."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from wfengine.errors import NotStorableError, WorkflowError
from wfengine.flows import ExecutionContext, FlowError
from wfengine.store import Types

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
entries = st.dictionaries(st.text(), plain, max_size=5)


@frozen
class Money:
    amount: Decimal


def test_what_is_set_is_found():
    context = ExecutionContext({"a": 1})
    context.set("b", [2])
    assert (context.get("a"), context["b"], "c" in context, len(context)) == (1, [2], False, 2)
    assert dict(context) == {"a": 1, "b": [2]}


def test_an_entry_is_set_once():
    context = ExecutionContext({"rows": [1, 2]})
    with pytest.raises(ValueError, match=r"'rows' already, \[1, 2\].*another name") as caught:
        context.set("rows", [3])
    assert isinstance(caught.value, WorkflowError)
    assert context.get("rows") == [1, 2]


@pytest.mark.parametrize("key", [1, None, b"rows", ("a",)])
def test_a_name_is_a_text(key):
    with pytest.raises(FlowError, match="name is a text"):
        ExecutionContext().set(key, 1)


@pytest.mark.parametrize("kind", [ValueError, KeyError, FlowError])
def test_a_missing_entry_is_an_error_that_says_what_there_is(kind):
    with pytest.raises(kind) as caught:
        ExecutionContext({"total": 1}).get("totla")
    assert str(caught.value) == "the context has no entry 'totla'; did you mean 'total'?"
    with pytest.raises(kind, match="there are: 'total'"):
        ExecutionContext({"total": 1})["x"]


def test_a_missing_entry_may_have_a_default():
    assert ExecutionContext().get("x", None) is None


def test_a_copy_shares_nothing():
    context = ExecutionContext({"rows": [[1]]})
    copied = context.copy()
    copied.get("rows")[0].append(2)
    copied.set("more", 1)
    assert dict(context) == {"rows": [[1]]}
    assert copied != context


def test_what_cannot_be_copied_is_named(tmp_path):
    with (tmp_path / "file").open("w") as file:
        context = ExecutionContext({"out": file})
        with pytest.raises(FlowError, match=r"'out' is of type TextIOWrapper"):
            context.copy()
        with pytest.raises(NotStorableError, match=r"\['out'\] is a _io:TextIOWrapper"):
            context.to_json()


@given(entries)
def test_as_json_and_back_it_is_the_same(found):
    context = ExecutionContext(found)
    back = ExecutionContext.from_json(context.to_json())
    assert back == context
    assert list(back) == list(context)
    assert back.to_json() == context.to_json()


def test_json_keeps_what_is_not_plain():
    when = datetime(2013, 1, 1, tzinfo=UTC)
    types = Types()
    types.register(Money)
    context = ExecutionContext({"when": when, "parts": (1, {2}), "price": Money(Decimal("1.50"))})
    assert ExecutionContext.from_json(context.to_json(types), types) == context


@pytest.mark.parametrize("text", ["", "[1]", "7", "{", '{"$":"nothing"}', '{"a":1,"a":2}'])
def test_what_is_no_context_is_refused(text):
    with pytest.raises(FlowError, match="context"):
        ExecutionContext.from_json(text)
