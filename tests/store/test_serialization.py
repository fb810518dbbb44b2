"""What is stored comes back as it was, or is refused with a reason; stored data never run code."""

import dataclasses
import enum
import functools
import inspect
import json
import math
import pathlib
import subprocess
import sys
import threading
import types
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID, uuid1, uuid4
from zoneinfo import ZoneInfo

import attrs
import cattrs
import pytest
from cattrs.preconf.json import make_converter

from wfengine.errors import DamagedDataError, NotStorableError
from wfengine.store.serialization import Types, name_of

HERE = __name__
T = TypeVar("T")


def never(*args, **kwargs):
    raise AssertionError("called")


@attrs.define
class Line:
    name: str
    price: Any = None


@attrs.frozen
class Order:
    number: int
    _secret: str = "s"
    lines: list = attrs.Factory(list)
    size: int = attrs.field(init=False, default=0)
    first: Any = attrs.field(default=attrs.Factory(lambda self: self.number, takes_self=True))


@attrs.define(slots=False)
class Guarded:
    number: int = attrs.field(validator=attrs.validators.gt(0))
    result: Any = attrs.field(init=False)


@attrs.define(eq=True, unsafe_hash=True, cache_hash=True)
class Hashed:
    name: str


@dataclasses.dataclass
class Item:
    name: str
    tags: list = dataclasses.field(default_factory=list)
    count: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    weight: float = 0.5


@dataclasses.dataclass
class Derived(Item):
    extra: Any = None

    def __post_init__(self):
        self.extra = "derived"


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Place(NamedTuple):
    x: int
    y: int = 2


class Colour(enum.Enum):
    RED = "r"
    ALSO_RED = "r"  # noqa: PIE796
    BLUE = ("b", 1)


class Size(enum.IntEnum):
    SMALL = 1


class Word(enum.StrEnum):
    YES = "yes"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag):
    ONE = 1


class Plain:
    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None


class Mangled:
    __slots__ = ("__hidden", "shown")

    def __init__(self):
        self.__hidden, self.shown = 1, 2

    def hidden(self):
        return self.__hidden


class Names(dict):
    pass


class Numbers(list):
    pass


class Label(str):
    pass


class Count(int):
    pass


class Pair(tuple):
    pass


class Money:
    def __init__(self, amount):
        self.amount = amount

    def __eq__(self, other):
        return type(other) is Money and other.amount == self.amount

    __hash__ = None


class Odd(Exception):
    pass


BERLIN = ZoneInfo("Europe/Berlin")

EXACT = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(2**63) - 1,
    10**5000,
    0.0,
    -0.0,
    0.1,
    5e-324,
    math.inf,
    -math.inf,
    "",
    "\0",
    "\ud800",
    "\udc00\ud800",
    "\ud83d\ude00",
    "😀\ud83d\ude00\ud83d\ude00😀",
    "日本",
    [],
    [[], {}],
    {},
    {"b": 1, "a": 2},
    {"": None},
    {"ß": 1, "\ud83d\ude00": 2},
    {"$": "tuple", "v": []},
    {"a": {"$": 1}},
    {1: "a", "1": "b", None: (), (1, 2): "c", True + 1: 4},
    {1.5: {2: {3: (4,)}}},
    (),
    (1, [2, (3,)]),
    set(),
    {1, "a", (2, 3), frozenset({4})},
    frozenset({None, b"x"}),
    b"",
    bytes(range(256)),
    bytearray(b"ab"),
    complex(-0.0, math.inf),
    range(0),
    range(5, -(2**70), -3),
    datetime(1, 1, 1),  # noqa: DTZ001
    datetime(2024, 10, 27, 2, 30, fold=1),  # noqa: DTZ001
    datetime(2024, 10, 27, 2, 30, 5, 7, tzinfo=BERLIN, fold=1),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
    datetime(2024, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone(timedelta(seconds=-3601), "odd")),
    date(2024, 2, 29),
    time(1, 2, 3, 4, fold=1),
    time(1, tzinfo=BERLIN),
    timedelta.max,
    timedelta.min,
    timedelta(microseconds=-1),
    timezone.utc,  # noqa: UP017
    BERLIN,
    Decimal("-0"),
    Decimal("1.500"),
    Decimal("1E+999999"),
    Decimal("-Infinity"),
    Fraction(-1, 10**40),
    UUID(int=2**128 - 1),
    uuid1(),
    uuid4(),
    pathlib.Path("/a/../b"),
    pathlib.PurePosixPath("//x"),
    pathlib.PureWindowsPath("c:\\a"),
    OrderedDict([(2, 1), (1, 2)]),
    Counter({"a": -1, 2: 0}),
    deque([1, (2,)], maxlen=3),
    deque(),
    Line("a", Decimal("1.0")),
    Order(1, "x", [Line("a")]),
    Item("a", ["b"]),
    Slotted("a"),
    Derived("a"),
    Box((1,)),
    Place(1),
    Colour.RED,
    Colour.ALSO_RED,
    Colour.BLUE,
    Size.SMALL,
    Word.YES,
    Right.READ,
    Right.READ | Right.WRITE,
    Right(0),
    Bits(8),
    {Size.SMALL: Place(1, Colour.BLUE)},
]


def shape(value):
    """Return the value with all types in it, as something that == compares exactly."""
    cls = type(value)
    if isinstance(value, enum.Enum):
        return cls, repr(value)
    if isinstance(value, dict):
        parts = [(shape(key), shape(item)) for key, item in value.items()]
    elif isinstance(value, list | tuple | deque):
        parts = [shape(item) for item in value]
    elif isinstance(value, set | frozenset):
        parts = sorted((shape(item) for item in value), key=repr)
    elif isinstance(value, datetime | time):
        parts = [value.isoformat(), value.fold, repr(value.tzinfo)]
    elif hasattr(value, "__dict__") and not isinstance(value, UUID | pathlib.PurePath):
        parts = [shape(vars(value))]
    elif attrs.has(cls) or dataclasses.is_dataclass(cls):
        parts = [(name, shape(getattr(value, name))) for name in cls.__slots__ if name[0] != "_"]
    else:
        parts = repr(value) if cls is not int else value
    return cls, parts


@pytest.fixture
def store_types():
    return Types()


@pytest.mark.parametrize("value", EXACT, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_with_its_type(store_types, value):
    text = store_types.dumps(value)
    assert text.isascii()
    assert shape(store_types.loads(text)) == shape(value)
    assert store_types.loads(text) == value
    assert store_types.dumps(store_types.loads(text)) == text


@pytest.mark.parametrize("text", ["nan", "-nan"])
def test_nan_keeps_its_sign(store_types, text):
    found = store_types.loads(store_types.dumps(float(text)))
    assert math.isnan(found)
    assert math.copysign(1, found) == math.copysign(1, float(text))


@pytest.mark.parametrize("text", ["NaN", "-NaN12", "sNaN3"])
def test_a_decimal_that_is_no_number_is_kept(store_types, text):
    assert str(store_types.loads(store_types.dumps(Decimal(text)))) == text


def test_plain_data_are_stored_as_json_has_them(store_types):
    value = {"a": [1, 2.5, None, True, "é"], "b": {}}
    assert json.loads(store_types.dumps(value)) == value
    assert store_types.dumps(value) == '{"a":[1,2.5,null,true,"\\u00e9"],"b":{}}'


def test_equal_sets_have_equal_texts(store_types):
    names = [f"name {n}" for n in range(100)]
    backwards = set()
    for name in names[::-1]:
        backwards.add(name)
    assert store_types.dumps(set(names)) == store_types.dumps(backwards)


def test_encoding_changes_nothing_in_the_value(store_types):
    value = {"a": [(1,), {2: 3}], "b": {"c": b""}}
    before = repr(value)
    store_types.decode(store_types.encode(value))
    assert repr(value) == before


def test_decoding_changes_nothing_in_the_structure(store_types):
    structure = store_types.encode({"a": [(1,), {2: (3,)}]})
    before = json.dumps(structure)
    store_types.decode(structure)
    assert json.dumps(structure) == before


def test_fifty_megabytes_are_stored_exactly(store_types):
    value = {"data": "a\0é" * (50_000_000 // 3)}
    assert store_types.loads(store_types.dumps(value)) == value


# --- instances


def test_no_init_and_no_validator_is_called(store_types, monkeypatch):
    value = Guarded(1)
    value.result = (2,)
    texts = [store_types.dumps(value), store_types.dumps(Derived("a"))]
    monkeypatch.setattr(Guarded, "__init__", never)
    monkeypatch.setattr(Derived, "__init__", never)
    monkeypatch.setattr(Derived, "__post_init__", never)
    found, derived = map(store_types.loads, texts)
    assert (found.number, found.result, derived.extra) == (1, (2,), "derived")


def test_a_field_that_was_never_set_stays_unset(store_types):
    found = store_types.loads(store_types.dumps(Guarded(1)))
    assert vars(found) == {"number": 1}


def test_attributes_besides_the_fields_are_kept(store_types):
    item = Item("a")
    item.note = {"b": (1,)}
    found = store_types.loads(store_types.dumps(item))
    assert vars(found) == {"name": "a", "tags": [], "count": 1, "note": {"b": (1,)}}


def test_a_subclass_that_is_no_dataclass_itself_keeps_what_it_adds(store_types):
    value = Undecorated("a")
    found = store_types.loads(store_types.dumps(value))
    assert type(found) is Undecorated
    assert vars(found) == vars(value)


class Undecorated(Item):
    def __init__(self, name):
        super().__init__(name)
        self.more = 1


def test_a_cached_hash_is_not_taken_to_another_process(store_types):
    value = Hashed("a")
    hash(value)
    text = store_types.dumps(value)
    assert str(hash(value)) not in text
    assert hash(store_types.loads(text)) == hash(value)


def test_a_generic_instance_may_be_spelled_with_its_parameter(store_types):
    assert store_types.loads(store_types.dumps(Box[int](1))) == Box(1)


def test_a_registered_class_is_stored_by_its_attributes(store_types):
    store_types.register(Plain)
    value = {"a": Plain((1, Plain(None)))}
    assert store_types.loads(store_types.dumps(value)) == value


def test_register_is_a_decorator(store_types):
    @store_types.register
    class Local:
        pass

    assert type(store_types.loads(store_types.dumps(Local()))) is Local


def test_slots_with_private_names_are_kept(store_types):
    store_types.register(Mangled)
    found = store_types.loads(store_types.dumps(Mangled()))
    assert (found.hidden(), found.shown) == (1, 2)


@pytest.mark.parametrize(
    "value",
    [Names(a=(1,)), Numbers([1, {2}]), Label("\ud83d\ude00"), Count(2**70), Pair((1, 2))],
    ids=lambda value: type(value).__name__,
)
def test_a_registered_subclass_of_a_builtin_keeps_contents_and_attributes(store_types, value):
    store_types.register(type(value))
    value.note = ("n",)
    found = store_types.loads(store_types.dumps(value))
    assert type(found) is type(value)
    assert found == value
    assert vars(found) == {"note": ("n",)}


def test_a_class_with_functions_is_stored_by_them(store_types):
    store_types.register(
        Money, lambda money: (money.amount, datetime(2024, 1, 1, tzinfo=UTC)), lambda p: Money(p[0])
    )
    assert store_types.loads(store_types.dumps([Money(Decimal(1))])) == [Money(Decimal(1))]


def test_functions_come_in_pairs(store_types):
    with pytest.raises(TypeError, match="together"):
        store_types.register(Money, unstructure=str)


@pytest.mark.parametrize("cls", [Odd, type(threading.Lock()), defaultdict])
def test_a_class_whose_instances_hold_more_than_attributes_needs_functions(store_types, cls):
    with pytest.raises(TypeError, match="functions"):
        store_types.register(cls)


@pytest.mark.parametrize("cls", [int, dict, list, type(None), datetime, Decimal])
def test_what_is_stored_already_is_not_registered(store_types, cls):
    with pytest.raises(TypeError, match="stored already"):
        store_types.register(cls)


def test_only_a_class_can_be_registered(store_types):
    with pytest.raises(TypeError, match="a class can be registered"):
        store_types.register(lambda: None)


# --- hooks


def money_converter():
    converter = cattrs.Converter()
    converter.register_unstructure_hook(Money, lambda money: {"amount": money.amount})
    converter.register_structure_hook(Money, lambda parts, cls: cls(parts["amount"]))
    return converter


def test_a_cattrs_hook_makes_a_class_storable_and_loadable():
    text = Types(money_converter()).dumps(Money(Decimal("1.10")))
    assert Types(money_converter()).loads(text) == Money(Decimal("1.10"))


def test_a_hook_may_come_after_the_first_value(store_types):
    store_types.dumps(Line("a"))
    store_types.converter.register_unstructure_hook(Line, lambda line: line.name)
    store_types.converter.register_structure_hook(Line, lambda name, cls: cls(name.upper()))
    assert store_types.loads(store_types.dumps(Line("a"))) == Line("A")


def test_a_hook_wins_over_functions(store_types):
    store_types.register(Money, never, never)
    store_types.converter.register_unstructure_hook(Money, lambda money: money.amount)
    store_types.converter.register_structure_hook(Money, lambda amount, cls: cls(amount))
    assert store_types.loads(store_types.dumps(Money(1))) == Money(1)


def test_a_hook_is_for_its_class_alone():
    class Dollar(Money):
        pass

    with pytest.raises(NotStorableError, match="Dollar"):
        Types(money_converter()).dumps(Dollar(1))


def test_a_hook_for_one_direction_is_refused_when_writing(store_types):
    store_types.converter.register_unstructure_hook(Money, lambda money: money.amount)
    with pytest.raises(NotStorableError, match="register_structure_hook"):
        store_types.dumps(Money(1))


def test_a_converter_made_for_json_serves_what_it_has_hooks_for():
    value = {"a": datetime(2024, 1, 1, tzinfo=UTC), "b": b"x", "c": (1,)}
    text = Types(make_converter()).dumps(value)
    assert Types(make_converter()).loads(text) == value


def test_a_function_that_fails_is_named_with_its_error(store_types):
    store_types.register(Money, lambda money: 1 / 0, never)
    with pytest.raises(NotStorableError, match="ZeroDivisionError") as caught:
        store_types.dumps({"a": Money(1)}, "token 3")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_structuring_function_that_fails_is_damage(store_types):
    store_types.register(Money, lambda money: money.amount, lambda parts: 1 / 0)
    text = store_types.dumps(Money(1))
    with pytest.raises(DamagedDataError, match="ZeroDivisionError") as caught:
        store_types.loads(text)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


# --- refused


class Zone(tzinfo):
    pass


@pytest.mark.parametrize(
    ("value", "path", "kind"),
    [
        ({"lines": [1, 2, Line("a", Money(1))]}, "['lines'][2].price", f"{HERE}:Money"),
        ([(1, {2: object()})], "[0][1][2]", "object"),
        ({"a": Names()}, "['a']", f"{HERE}:Names"),
        ([Label("a")], "[0]", f"{HERE}:Label"),
        ([Count(1)], "[0]", f"{HERE}:Count"),
        (Pair((1,)), "", f"{HERE}:Pair"),
        ({Label("a"): 1}, "[a Label]", f"{HERE}:Label"),
        ({"f": never}, "['f']", "function"),
        ({"f": functools.partial(never)}, "['f']", "functools:partial"),
        ([int], "[0]", "type"),
        (defaultdict(list), "", "collections:defaultdict"),
        (datetime(2024, 1, 1, tzinfo=Zone()), "[2]", f"{HERE}:Zone"),
        (Plain(1), "", f"{HERE}:Plain"),
        (Odd("a"), "", f"{HERE}:Odd"),
        (Ellipsis, "", "ellipsis"),
        ({"g": (n for n in "")}, "['g']", "generator"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_stored_is_refused_with_its_place_and_type(store_types, value, path, kind):
    with pytest.raises(NotStorableError) as caught:
        store_types.dumps(value, "token 3")
    assert caught.value.path == path
    assert caught.value.kind == kind
    assert str(caught.value).startswith(f"token 3: {path} is a" if path else "token 3 is a")


def test_the_refusal_says_what_to_do(store_types):
    with pytest.raises(
        NotStorableError, match=r"store\.types\.register\(Money\), or a cattrs hook"
    ):
        store_types.dumps(Money(1))


def test_a_local_class_is_refused_with_advice(store_types):
    @attrs.define
    class Local:
        a: int

    with pytest.raises(NotStorableError, match="top of its module, or register it"):
        store_types.dumps(Local(1))


@attrs.define
class Failure(Exception):
    reason: str


def test_an_attrs_class_with_more_than_its_fields_needs_functions(store_types):
    with pytest.raises(NotStorableError, match="Failure, unstructure, structure"):
        store_types.dumps(Failure("a"))
    store_types.register(Failure, lambda failure: failure.reason, Failure)
    assert store_types.loads(store_types.dumps(Failure("a"))).reason == "a"


def test_what_a_subclass_of_a_builtin_contains_is_named_in_a_refusal(store_types):
    store_types.register(Names)
    with pytest.raises(NotStorableError) as caught:
        store_types.dumps([Names(a=[object()])])
    assert caught.value.path == "[0]['a'][0]"


def test_what_a_function_returns_is_refused_like_anything_else(store_types):
    store_types.register(Money, lambda money: {"amount": money.amount}, never)
    with pytest.raises(NotStorableError) as caught:
        store_types.dumps([Money(object())])
    assert caught.value.path == "[0]['amount']"


def test_an_attribute_without_a_proper_name_is_refused(store_types):
    item = Item("a")
    vars(item)[1] = 2
    with pytest.raises(NotStorableError, match="attribute with a name"):
        store_types.dumps(item)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the quirk is that of Python 3.11")
def test_a_path_whose_text_is_another_path_is_refused(store_types):
    with pytest.raises(NotStorableError, match="makes another path"):
        store_types.dumps(pathlib.PureWindowsPath("\\\\:\\"))


def with_little_stack(act, left=100):
    """Call something where little more than some frames are left of the stack."""
    depth = len(inspect.stack(0))

    def descend(levels):
        return descend(levels - 1) if levels else act()

    return descend(sys.getrecursionlimit() - depth - left)


def test_the_end_of_the_stack_is_a_refusal_or_damage(store_types):
    value = nested(150)
    text = store_types.dumps(value)
    with pytest.raises(NotStorableError, match="stack"):
        with_little_stack(lambda: store_types.dumps(value))
    with pytest.raises(DamagedDataError, match="nested too deep"):
        with_little_stack(lambda: store_types.loads(text))


def test_a_zone_from_a_file_is_refused(store_types):
    source = pathlib.Path("/usr/share/zoneinfo/UTC")
    if not source.exists():
        pytest.skip("no zone files here")
    with source.open("rb") as file:
        zone = ZoneInfo.from_file(file, key="Europe/Berlin")
    with pytest.raises(NotStorableError, match="read from a file"):
        store_types.dumps(zone)


def holding_itself(make, put):
    value = make()
    put(value)
    return value


@pytest.mark.parametrize(
    "value",
    [
        holding_itself(list, lambda value: value.extend([value])),
        holding_itself(dict, lambda value: value.update(a=[(value,)])),
        holding_itself(lambda: Item("a"), lambda value: value.tags.append(value)),
        {"x": holding_itself(lambda: {1: 2}, lambda value: value.update({3: value}))},
    ],
    ids=["list", "dict", "instance", "pairs"],
)
def test_what_contains_itself_is_refused(store_types, value):
    with pytest.raises(NotStorableError, match="contains itself"):
        store_types.dumps(value)


def nested(depth, inside=None, wrap=lambda value: [value]):
    for _ in range(depth):
        inside = wrap(inside)
    return inside


WRAPS = {
    "list": lambda value: [value],
    "dict": lambda value: {"a": value},
    "tuple": lambda value: (value,),
    "pairs": lambda value: {1: value},
    "attrs": lambda value: Line("a", value),
    "dataclass": lambda value: Item("a", [value]),
    "named tuple": Place,
    "deque": lambda value: deque([value]),
}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
@pytest.mark.parametrize("depth", [250, 2000, 20_000])
def test_a_value_nested_too_deep_is_refused(store_types, wrap, depth):
    value = nested(depth, wrap=wrap)
    try:
        with pytest.raises(NotStorableError, match="nested"):
            store_types.dumps(value)
    finally:
        dismantle(value)


def dismantle(value):
    """Take a deep value apart from the outside, since freeing it at once could end the stack."""
    while value is not None:
        if isinstance(value, dict):
            value = value.popitem()[1]
        elif isinstance(value, list | deque):
            value = value.pop() if value else None
        elif isinstance(value, tuple):
            value = value[0]
        else:
            value = getattr(value, "price", None) or getattr(value, "tags", None)


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_whatever_could_be_written_can_be_read(store_types, wrap):
    for depth in range(10, 250, 10):
        value = nested(depth, wrap=wrap)
        try:
            text = store_types.dumps(value)
        except NotStorableError:
            assert depth > 50
            return
        assert store_types.dumps(store_types.loads(text)) == text
    raise AssertionError("nothing was refused")


def test_what_changes_while_it_is_stored_is_refused(store_types):
    value = {"a": Money(1), "b": 2}

    def unstructure(money):
        value["c"] = 3
        return 1

    store_types.register(Money, unstructure, never)
    with pytest.raises(NotStorableError, match="changed while it was stored"):
        store_types.dumps(value, "token 3")


# --- reading


@dataclasses.dataclass
class Secret:
    a: int = 1


HOSTILE = [
    "os:system",
    "subprocess:Popen",
    "builtins:eval",
    "builtins:exec",
    "builtins:object",
    "builtins:type",
    f"{HERE}:Secret",
    f"{HERE}:never",
    "wfengine.store.serialization:Types",
    "dataclasses:Field",
    "http:HTTPStatus",
    "antigravity:x",
    ":",
    "a:b:c",
    "os",
    "",
    "\0",
    "x" * 100_000 + ":y",
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:20])
def test_a_class_that_nobody_named_is_neither_imported_nor_made(store_types, name):
    loaded = set(sys.modules)
    for parts in [{}, {"args": ["true"]}, [], "true", None, {"a": 1}]:
        with pytest.raises(DamagedDataError) as caught:
            store_types.loads(json.dumps({"$": name, "v": parts}))
        assert len(str(caught.value)) < 1000
    assert set(sys.modules) == loaded


def test_an_unknown_class_is_refused_with_what_to_do(store_types):
    with pytest.raises(
        DamagedDataError,
        match=r"name app\.models:Order, which nobody registered here: "
        r"store\.types\.register\(Order\), or name the definition",
    ):
        store_types.loads('{"$":"app.models:Order","v":{}}')


def test_what_this_process_stored_it_can_load_and_another_cannot(store_types):
    text = store_types.dumps(Line("a"))
    assert store_types.loads(text) == Line("a")
    with pytest.raises(DamagedDataError, match="nobody registered"):
        Types().loads(text)


WRONG = [
    1,
    None,
    True,
    1.5,
    [],
    {},
    "",
    [1],
    [[1]],
    [[1, 2, 3]],
    "a",
    [None, None],
    [1, 0],
    {"a": 1},
    [[], 1],
    [["x"], -1],
    "é",
    [1, 2, 3, 4],
    {"$": "list", "v": []},
    {"$": "unset"},
]
TAGS = [
    "float int str dict tuple set frozenset bytes bytearray complex range datetime time date",
    "timedelta timezone ZoneInfo Decimal Fraction UUID OrderedDict Counter deque PosixPath",
    "WindowsPath PurePosixPath unset list object type",
]


@pytest.mark.parametrize("tag", " ".join(TAGS).split())
def test_a_tag_with_anything_in_it_is_read_or_is_damage(store_types, tag):
    for parts in WRONG:
        for structure in [{"$": tag, "v": parts}, {"$": tag, "v": parts, "x": {}}, {"$": tag}]:
            text = json.dumps(structure)
            try:
                value = store_types.loads(text)
            except DamagedDataError:
                continue
            assert type(value).__name__ == tag
            assert "x" not in structure


@pytest.mark.parametrize(
    "structure",
    [
        {"$": 1, "v": 1},
        {"$": None},
        {"$": ["tuple"], "v": []},
        {"$": {"$": "tuple", "v": []}, "v": []},
        {"$": "tuple", "v": [], "w": 1},
        {"$": "tuple", "v": "abc"},
        {"$": "set", "v": [1, 1]},
        {"$": "set", "v": [[]]},
        {"$": "set", "v": [1, True]},
        {"$": "dict", "v": [[[], 1]]},
        {"$": "dict", "v": [["a", 1], ["a", 2]]},
        {"$": "int", "v": 1},
        {"$": "float", "v": "1.5"},
        {"$": "Fraction", "v": [1, 0]},
        {"$": "bytes", "v": "a"},
        {"$": "ZoneInfo", "v": "../../etc/passwd"},
        {"$": "ZoneInfo", "v": "Europe"},
        {"$": "ZoneInfo", "v": "No/Where"},
        {"$": "datetime", "v": ["2024-01-01", 0, "UTC"]},
        {"$": "datetime", "v": "2024-01-01T00:00:00+01:00"},
        {"$": "datetime", "v": ["2024-01-01", 5, None]},
        {"$": "Decimal", "v": "one"},
        {"$": "range", "v": [0, 1, 0]},
        {"$": f"{HERE}:Line", "v": {}},
        {"$": f"{HERE}:Line", "v": []},
        {"$": f"{HERE}:Line"},
        {"$": f"{HERE}:Line", "v": {"name": "a", "colour": 1}},
        {"$": f"{HERE}:Line", "v": {"name": "a"}, "x": {"name": "b"}},
        {"$": f"{HERE}:Line", "v": {"name": "a"}, "x": {"colour": "b"}},
        {"$": f"{HERE}:Line", "v": {"name": "a"}, "x": 1},
        {"$": f"{HERE}:Line", "v": {"name": "a"}, "of": []},
        {"$": f"{HERE}:Names", "v": {}},
        {"$": f"{HERE}:Names", "v": {}, "of": []},
        {"$": f"{HERE}:Place", "v": {"y": 1}},
        {"$": f"{HERE}:Place", "v": {"x": {"$": "unset"}, "y": 1}},
        {"$": f"{HERE}:Place", "v": [1, 2]},
        {"$": f"{HERE}:Colour", "v": "GREEN"},
        {"$": f"{HERE}:Colour", "v": "mro"},
        {"$": f"{HERE}:Colour", "v": 1},
        {"$": f"{HERE}:Right", "v": 64},
        {"$": f"{HERE}:Right", "v": "x"},
        {"$": f"{HERE}:Mangled", "v": {"surplus": 1}},
        {"$": f"{HERE}:Mangled", "v": {"__class__": 1}},
    ],
    ids=json.dumps,
)
def test_a_structure_of_a_wrong_shape_is_damage(store_types, structure):
    store_types.trust(sys.modules[HERE])
    store_types.register(Names)
    store_types.register(Mangled)
    with pytest.raises(DamagedDataError):
        store_types.loads(json.dumps(["before", {"a": structure}]))


def test_damage_is_told_with_its_place(store_types):
    with pytest.raises(DamagedDataError, match=r"^\['a'\]\[1\]: "):
        store_types.loads('{"a":[1,{"$":"bytes","v":"?"}]}')


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "nul",
        "NaN",
        "Infinity",
        '{"a":NaN}',
        "1 2",
        "1" * 5000,
        '{"a":1,"a":1}',
        '{"$":"tuple","v":[],"$":"set"}',
        "gASVBQAAAAAAAABLAS4=",
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"$":"tuple","v":[' * 100_000,
        None,
        b"1",
        5,
    ],
    ids=lambda text: str(text)[:20],
)
def test_a_text_that_is_no_json_is_damage(store_types, text):
    with pytest.raises(DamagedDataError) as caught:
        store_types.loads(text)
    assert len(str(caught.value)) < 1000


def test_a_structure_nested_too_deep_is_damage(store_types):
    structure = nested(5000, {"$": "set", "v": []})
    with pytest.raises(DamagedDataError, match="nested too deep"):
        store_types.decode(structure)
    dismantle(structure[0])


def test_a_field_that_came_later_takes_its_default(store_types):
    store_types.trust(sys.modules[HERE])
    order = store_types.loads(json.dumps({"$": f"{HERE}:Order", "v": {"number": 7}}))
    assert order == Order(7)
    assert order.lines == []
    assert order.first == 7
    item = store_types.loads(json.dumps({"$": f"{HERE}:Item", "v": {"name": "a"}}))
    assert item == Item("a")
    assert store_types.loads(json.dumps({"$": f"{HERE}:Place", "v": {"x": 1}})) == Place(1)


# --- trust


def module(name, **contents):
    found = types.ModuleType(name)
    vars(found).update(contents)
    return found


def test_a_trusted_module_makes_its_classes_loadable():
    texts = [Types().dumps(value) for value in (Line("a"), Item("a"), Place(1), Colour.RED)]
    reader = Types()
    reader.trust(sys.modules[HERE])
    assert [reader.loads(text) for text in texts] == [Line("a"), Item("a"), Place(1), Colour.RED]


def test_trust_reaches_the_modules_where_its_classes_are_defined():
    reader = Types()
    reader.trust(module("flights", order=Order, Order=Order))
    assert reader.loads(Types().dumps(Line("a"))) == Line("a")


def test_trust_does_not_reach_classes_that_have_to_be_registered():
    reader = Types()
    reader.trust(sys.modules[HERE])
    with pytest.raises(DamagedDataError, match="nobody registered"):
        reader.loads(json.dumps({"$": f"{HERE}:Plain", "v": {"number": 1}}))


def test_trust_does_not_reach_what_a_module_only_imported_as_a_module():
    reader = Types()
    reader.trust(module("flights", subprocess=subprocess, dataclasses=dataclasses, run=never))
    with pytest.raises(DamagedDataError, match="nobody registered"):
        reader.loads(json.dumps({"$": f"{HERE}:Line", "v": {"name": "a"}}))


def test_trust_reaches_classes_inside_classes():
    reader = Types()
    reader.trust(sys.modules[HERE])
    assert reader.loads(Types().dumps(Outer.Inner(1))) == Outer.Inner(1)


class Outer:
    @attrs.define
    class Inner:
        a: int


# --- put_into


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ({"a": 1, "b": 2}, {"b": 3, "a": 1}),
        ([1, 2], [3]),
        ({1}, {2, 3}),
        (bytearray(b"abc"), bytearray(b"d")),
        (OrderedDict(a=1, b=2), OrderedDict(b=1)),
        (Counter("a"), Counter("b")),
        (Line("a", 1), Line("b", (2,))),
        (Order(1), Order(2, "t", [1])),
        (Item("a"), Item("b", ["c"])),
        (Slotted("a"), Slotted("b", 1.0)),
        (Plain(1), Plain("x")),
        (Money(1), Money(2)),
        (Names(a=1), Names(b=1)),
        (Numbers([1]), Numbers([2, 3])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_object_becomes_equal_in_place(store_types, target, value):
    assert store_types.put_into(target, value) is True
    assert shape(target) == shape(value)


def test_attributes_that_the_value_does_not_have_go(store_types):
    target, value = Item("a"), Item("b")
    target.note = 1
    assert store_types.put_into(target, value)
    assert not hasattr(target, "note")


def test_a_slot_that_the_value_has_not_set_goes(store_types):
    target, value = Mangled(), Mangled()
    del value.shown
    assert store_types.put_into(target, value)
    assert not hasattr(target, "shown")


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ((1,), (2,)),
        (1, 2),
        ("a", "b"),
        ({"a": 1}, [1]),
        ({"a": 1}, Names(b=1)),
        (Line("a"), Item("a")),
        (Place(1), Place(2)),
        (Colour.RED, Colour.BLUE),
        (Label("a"), Label("b")),
        (frozenset({1}), frozenset()),
        (Decimal(1), Decimal(2)),
        (Odd("a"), Odd("b")),
        (never, nested),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_change_or_is_of_another_type_is_left_alone(store_types, target, value):
    before = repr(target)
    assert store_types.put_into(target, value) is False
    assert repr(target) == before


def test_an_object_put_into_itself_stays_as_it_is(store_types):
    value = {"a": 1}
    assert store_types.put_into(value, value) is True
    assert value == {"a": 1}


def test_the_name_of_a_class_is_its_module_and_qualified_name():
    assert name_of(Outer.Inner) == f"{HERE}:Outer.Inner"
