"""Instances by their attributes, built again without a call of their ``__init__``."""

from __future__ import annotations

from enum import Enum
from typing import Any

from wfengine.store.serialization.classes import (
    base_of,
    fields_of,
    has_hidden_state,
    is_named_tuple,
    is_python,
    slots_of,
)
from wfengine.store.serialization.contents import CONTENTS_OF, REFILLS
from wfengine.store.serialization.faults import FaultError, attempt, short, too_deep
from wfengine.store.serialization.forms import EnumForm, Form, Read, Write, strange_parts
from wfengine.store.serialization.text import TAG, VALUE, is_true_text

CONTENTS, EXTRA = "of", "x"
UNSET = {TAG: "unset"}
HASH, GENERIC = "_attrs_cached_hash", "__orig_class__"


class InstanceForm(Form):
    """An instance by its attributes, taken from where they are kept and put back there.

    The fields of an attrs class, a dataclass or a NamedTuple are one part; attributes that are no
    field another; and the third what a class derived from ``dict``, ``list`` or the like contains.
    """

    def __init__(self, cls: type) -> None:
        super().__init__(cls)
        self.fields = fields_of(cls)
        self.base: Any = base_of(cls)
        self.is_named_tuple = is_named_tuple(cls)
        self.has_contents = self.base is not object and not self.is_named_tuple
        self.slots = slots_of(cls)
        self.has_dict = cls.__dictoffset__ != 0
        self.needed = {TAG, VALUE, CONTENTS} if self.has_contents else {TAG, VALUE}
        self.allowed = self.needed | {EXTRA} if self.fields else self.needed

    def state(self, value: Any) -> dict[str, Any]:
        """Return all attributes of an instance by name."""
        state = dict(value.__dict__) if self.has_dict else {}
        for name, slot in self.slots.items():
            try:
                state[name] = slot.__get__(value)
            except AttributeError:
                continue
        if HASH in state:
            state[HASH] = None  # another process has other hashes
        state.pop(GENERIC, None)  # typing's own note that Box(1) was spelled Box[int](1)
        return state

    # --- storing

    def write(self, value: Any, write: Write, room: int) -> dict[str, Any]:
        """Write the fields in their order, the other attributes, and the contents."""
        if room <= 1:
            raise too_deep()
        structure = self._parted(self._written(value, write, room - 2))
        if self.has_contents:
            structure[CONTENTS] = write(CONTENTS_OF[self.base](value), room - 1)
        return structure

    def _written(self, value: Any, write: Write, room: int) -> dict[str, Any]:
        state = self.state(value)
        if self.is_named_tuple:
            state.update(zip(self.fields, tuple.__iter__(value), strict=True))
        parts, name = {}, ""
        try:
            for name in [*self.fields, *(name for name in state if name not in self.fields)]:
                if type(name) is not str or not is_true_text(name):
                    raise FaultError("an attribute with a name that JSON cannot have")
                parts[name] = write(state[name], room) if name in state else UNSET
        except FaultError as fault:
            fault.inside(f".{name}")
            raise
        return parts

    def _parted(self, parts: dict[str, Any]) -> dict[str, Any]:
        if not self.fields or len(parts) == len(self.fields):
            return {TAG: self.tag, VALUE: parts}
        fields = {name: parts.pop(name) for name in self.fields}
        return {TAG: self.tag, VALUE: fields, EXTRA: parts}

    # --- loading

    def read(self, structure: dict[str, Any], read: Read) -> Any:
        """Build an instance; a field that the stored one did not have yet takes its default."""
        held = self._held(structure)
        values = self._values(held, read)
        if self.is_named_tuple:
            return self._named_tuple(values)
        obj = self._instance(read(structure[CONTENTS]) if self.has_contents else None)
        self._fill(obj, values)
        # In the order of the fields, because a default may be made of those before it.
        for name in self.fields:
            if name not in held:
                self._fill(obj, {name: self._default(name, obj)})
        return obj

    def _held(self, structure: dict[str, Any]) -> dict[str, Any]:
        """Return the stored attributes, having looked at their names."""
        if not self.needed <= structure.keys() <= self.allowed:
            raise strange_parts(structure)
        fields = _attributes(structure[VALUE])
        if not self.fields or (fields.keys() == self.fields.keys() and EXTRA not in structure):
            return fields
        extra = _attributes(structure.get(EXTRA, {}))
        wrong = [name for name in fields if name not in self.fields]
        wrong += [name for name in extra if name in self.fields]
        if wrong:
            raise FaultError(
                f"{self.tag} has no fields {short(wrong)}: another version of it was stored"
            )
        return {**fields, **extra}

    def _values(self, held: dict[str, Any], read: Read) -> dict[str, Any]:
        values, name = {}, ""
        try:
            for name, part in held.items():
                if type(part) is not dict or part != UNSET:
                    values[name] = read(part)
        except FaultError as fault:
            fault.inside(f".{name}")
            raise
        return values

    def _named_tuple(self, values: dict[str, Any]) -> Any:
        for name in self.fields.keys() - values.keys():
            values[name] = self._default(name, None)
        obj: Any = tuple.__new__(self.cls, [values.pop(name) for name in self.fields])
        self._fill(obj, values)
        return obj

    def _instance(self, contents: Any) -> Any:
        base, make = self.base, self.base.__new__
        if base is object:
            return attempt(make, self.cls, f"no {self.tag}")
        if type(contents) is not base:
            raise FaultError(f"{self.tag} contains a {type(contents).__name__}")
        if base not in REFILLS:
            return make(self.cls, contents)
        obj = make(self.cls)
        REFILLS[base](obj, contents)
        return obj

    def _default(self, name: str, obj: Any) -> Any:
        default = self.fields[name]
        if default is None:
            raise FaultError(f"{self.tag} needs {name!r}, which the stored data do not have")
        return attempt(default, obj, f"{self.tag} has no default for {name!r}")

    def _fill(self, obj: Any, attributes: dict[str, Any]) -> None:
        for name, value in attributes.items():
            if name in self.slots:
                self.slots[name].__set__(obj, value)
            elif self.has_dict:
                obj.__dict__[name] = value
            else:
                raise FaultError(f"{self.tag} has no place for the attribute {name!r}")

    # --- putting into another

    def refill(self, target: Any, value: Any) -> bool:
        """Give an instance the attributes and contents of another one, where it can change."""
        if self.base is not object and self.base not in REFILLS:
            return False
        new = self.state(value)
        if self.base is not object:
            REFILLS[self.base](target, CONTENTS_OF[self.base](value))
        for name in self.state(target).keys() - new.keys():
            if name in self.slots:
                self.slots[name].__delete__(target)
        if self.has_dict:
            target.__dict__.clear()
        self._fill(target, new)
        return True


def form_of(cls: type) -> Form:
    """Return the form of a class that has neither hooks nor functions."""
    return EnumForm(cls) if issubclass(cls, Enum) else InstanceForm(cls)


def is_refillable(cls: type) -> bool:
    """Return whether instances hold attributes and contents alone, storable or not."""
    return is_python(cls) and not issubclass(cls, Enum | type) and not has_hidden_state(cls)


def _attributes(structure: Any) -> dict[str, Any]:
    if type(structure) is not dict:
        raise FaultError(f"attributes are an object, not a {type(structure).__name__}")
    return structure
