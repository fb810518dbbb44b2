"""Whatever is made of storable types comes back exactly, and any text is read or is damage."""

import dataclasses
import enum
import json
import sys
from collections import Counter, OrderedDict, deque
from contextlib import suppress
from datetime import timedelta, timezone
from decimal import Decimal
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from wfengine.errors import DamagedDataError
from wfengine.store.changes import apply, diff
from wfengine.store.serialization import MAX_LEVELS, Types, name_of


@attrs.frozen
class Frozen:
    a: Any
    _b: Any = None
    c: Any = attrs.field(default=None, init=False)


@attrs.define(slots=False)
class Open:
    a: Any


@dataclasses.dataclass
class Data:
    a: Any
    b: Any = dataclasses.field(default=None, init=False)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    a: Any


class Named(NamedTuple):
    a: Any
    b: Any = None


class Colour(enum.Enum):
    RED = 1
    BLUE = "b"


class Right(enum.Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Registered:
    def __init__(self, a):
        self.a = a


class Names(dict):
    pass


class Numbers(list):
    pass


class Label(str):
    pass


HERE = sys.modules[__name__]
# Of any code points, lone surrogates and pairs of them among them.
TEXTS = st.text(st.characters(), max_size=6) | st.text("a\0\ud83d\ude00😀$", max_size=6)
OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
ZONES = (
    st.none() | st.timezones() | st.builds(timezone, OFFSETS) | st.builds(timezone, OFFSETS, TEXTS)
)
FOLDS = st.sampled_from([0, 1])
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(2**62, 2**66)
    | st.floats()
    | TEXTS
    | st.binary(max_size=6)
    | st.complex_numbers()
    | st.decimals()
    | st.fractions()
    | st.uuids()
    | st.dates()
    | st.timedeltas()
    | st.builds(lambda t, f, z: t.replace(fold=f, tzinfo=z), st.datetimes(), FOLDS, ZONES)
    | st.builds(lambda t, f, z: t.replace(fold=f, tzinfo=z), st.times(), FOLDS, ZONES)
    | ZONES
    | st.builds(range, st.integers(), st.integers(), st.integers(1, 5))
    | st.sampled_from(Colour)
    | st.sampled_from([Right.READ, Right.READ | Right.RUN, Right(0), ~Right.READ])
    | st.builds(PurePosixPath, st.text("a/.é", max_size=5))
    | st.builds(PureWindowsPath, st.from_regex(r"([ac]:)?[\\/]?[ab.]*[\\/]?[ab.]*", fullmatch=True))
    | st.builds(Label, TEXTS)
)
KEYS = st.recursive(
    ATOMS.filter(lambda value: not (isinstance(value, Decimal) and value.is_snan())),
    lambda inside: (
        st.tuples(inside, inside)
        | st.frozensets(inside, max_size=3)
        | inside.map(Frozen)
        | inside.map(Slotted)
        | inside.map(Named)
    ),
    max_leaves=3,
)


def with_attributes(value, attributes):
    vars(value).update(attributes)
    return value


def containers(inside):
    attributes = st.dictionaries(st.sampled_from(["x", "y"]), inside, max_size=2)
    return (
        st.lists(inside, max_size=4)
        | st.dictionaries(TEXTS, inside, max_size=4)
        | st.dictionaries(KEYS, inside, max_size=3)
        | st.lists(inside, max_size=3).map(tuple)
        | st.sets(KEYS, max_size=3)
        | st.builds(bytearray, st.binary(max_size=4))
        | st.builds(deque, st.lists(inside, max_size=3), st.none() | st.integers(3, 5))
        | st.builds(OrderedDict, st.dictionaries(KEYS, inside, max_size=3))
        | st.builds(Counter, st.lists(KEYS, max_size=4))
        | st.tuples(inside, inside).map(lambda parts: Frozen(*parts))
        | st.builds(with_attributes, inside.map(Open), attributes)
        | st.builds(with_attributes, inside.map(Data), attributes)
        | st.tuples(inside, inside).map(lambda parts: Named(*parts))
        | st.builds(with_attributes, inside.map(Registered), attributes)
        | st.builds(with_attributes, st.builds(Names, st.dictionaries(TEXTS, inside)), attributes)
        | st.builds(with_attributes, st.builds(Numbers, st.lists(inside)), attributes)
    )


VALUES = st.recursive(ATOMS, containers, max_leaves=12)
CHANGEABLE = dict | list | set | bytearray | Frozen | Open | Data | Registered


def make_types():
    """Types as another process has them, that never stored anything."""
    types = Types()
    types.trust(HERE)
    for cls in (Registered, Names, Numbers, Label):
        types.register(cls)
    return types


def shape(value):
    """Return the value with all types in it, as a text that is the same for the same value."""
    cls = type(value)
    if isinstance(value, enum.Enum):
        return repr(value)
    parts = []
    if isinstance(value, dict):
        parts = [f"{shape(key)}: {shape(item)}" for key, item in value.items()]
    elif isinstance(value, list | tuple | deque):
        parts = [shape(item) for item in value]
    elif isinstance(value, set | frozenset):
        parts = sorted(shape(item) for item in value)
    elif not attrs.has(cls) and not dataclasses.is_dataclass(cls) and cls is not Registered:
        parts = [ascii(value), str(getattr(value, "fold", ""))]
    if isinstance(value, deque):
        parts.append(str(value.maxlen))
    names = list(getattr(value, "__dict__", [])) if cls.__module__ == __name__ else []
    if attrs.has(cls) and cls is Frozen:
        names = ["a", "_b", "c"]
    if cls is Slotted:
        names = ["a"]
    parts += [f".{name}={shape(getattr(value, name))}" for name in sorted(names)]
    return f"{cls.__module__}.{cls.__qualname__}({', '.join(parts)})"


@given(VALUES)
@settings(max_examples=300)
def test_what_was_stored_comes_back_exactly(value):
    before = shape(value)
    text = make_types().dumps(value)
    found = make_types().loads(text)
    assert text.isascii()
    assert shape(found) == before
    assert make_types().dumps(found) == text
    assert shape(value) == before


@given(VALUES)
def test_the_halves_do_what_the_whole_does(value):
    types = make_types()
    structure = types.encode(value)
    text = types.dumps(value)
    assert json.dumps(types.plain(text)) == json.dumps(structure)
    assert shape(types.decode(structure)) == shape(value)
    assert json.dumps(structure) == json.dumps(types.plain(text))


@given(VALUES, VALUES)
def test_a_stored_change_makes_the_new_value_of_the_old_one(old, new):
    types = make_types()
    before, after = types.encode(old), types.encode(new)
    change = json.loads(json.dumps(diff(before, after)))
    assert shape(types.decode(apply(change, before))) == shape(new)


@given(VALUES, VALUES)
def test_an_object_made_equal_in_place_is_equal(target, value):
    types = make_types()
    target = types.loads(types.dumps(target))
    before = shape(target)
    if types.put_into(target, value):
        assert shape(target) == shape(value)
    else:
        assert shape(target) == before
        assert type(target) is not type(value) or not isinstance(target, CHANGEABLE)


CLASSES = [Frozen, Open, Data, Slotted, Named, Colour, Right, Names, Label]
BUILT_IN = """
    tuple set frozenset dict bytes int float str datetime time date timezone unset complex range
    ZoneInfo Decimal Fraction UUID deque Counter PurePosixPath
    os:system subprocess:Popen builtins:eval builtins:dict
"""
TAGS = st.sampled_from([*map(name_of, CLASSES), *BUILT_IN.split(), ""])
PARTS = st.sampled_from(["a", "_b", "c", "x", "v", "$", "of", "__class__", "__dict__"])


def tagged(inside):
    values = inside | st.dictionaries(PARTS, inside, max_size=3) | st.lists(inside, max_size=3)
    optional = {"x": values, "of": values}
    return st.fixed_dictionaries({"$": TAGS | inside, "v": values}, optional=optional)


STRUCTURES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inside: (
        tagged(inside)
        | tagged(inside)
        | st.lists(inside, max_size=3)
        | st.dictionaries(PARTS, inside, max_size=3)
    ),
    max_leaves=10,
)


@given(STRUCTURES)
@settings(max_examples=300)
def test_any_structure_is_read_or_is_damage_and_runs_nothing(structure):
    loaded = set(sys.modules)
    types = make_types()
    before = json.dumps(structure)
    try:
        value = types.decode(structure)
    except DamagedDataError:
        value = None
    assert shape(types.loads(types.dumps(value))) == shape(value)
    assert json.dumps(structure) == before
    imported = {name for name in set(sys.modules) - loaded if not name.startswith("tzdata")}
    assert imported == set()


@given(st.text(max_size=30) | st.text('{}[]":,$v01enau\\', max_size=30))
def test_any_text_is_read_or_is_damage(text):
    with suppress(DamagedDataError):
        make_types().loads(text)


@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=4), st.integers(0, 5000))
@settings(max_examples=30)
def test_no_depth_ends_the_stack(pattern, depth):
    wraps = ["[@]", '{"a":@}', '{"$":"tuple","v":[@]}', '{"$":"deque","v":[[@],null]}']
    halves = [wraps[number].split("@") for number in pattern]
    opening = "".join(half[0] for half in halves)
    closing = "".join(half[1] for half in reversed(halves))
    try:
        value = make_types().loads(opening * depth + "1" + closing * depth)
    except DamagedDataError:
        assert depth * len(pattern) * 3 > MAX_LEVELS
    else:
        assert value == 1 or depth
