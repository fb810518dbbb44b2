"""What a class says of its instances: their fields, where attributes are kept, what else is in."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from enum import Enum
from types import MemberDescriptorType, ModuleType
from typing import Any

import attrs

from wfengine.store.serialization.contents import CONTENTS_OF

Default = Callable[[Any], Any]


def is_record(cls: type) -> bool:
    """Return whether a class says by itself what its instances consist of."""
    return (
        attrs.has(cls)
        or dataclasses.is_dataclass(cls)
        or is_named_tuple(cls)
        or (issubclass(cls, Enum) and cls is not Enum)
    )


def is_named_tuple(cls: type) -> bool:
    """Return whether instances are tuples with names for their items."""
    names = getattr(cls, "_fields", None)
    return (
        issubclass(cls, tuple)
        and isinstance(names, tuple)
        and isinstance(getattr(cls, "_field_defaults", None), dict)
    )


def fields_of(cls: type) -> dict[str, Default | None]:
    """Return the fields of a class with what makes their default of the instance, or None."""
    fields: dict[str, Default | None] = {}
    if is_named_tuple(cls):
        defaults = cls._field_defaults  # type: ignore[attr-defined]
        for name in cls._fields:  # type: ignore[attr-defined]
            fields[name] = _constant(defaults[name]) if name in defaults else None
    if attrs.has(cls):
        for attribute in attrs.fields(cls):
            fields[attribute.name] = _attrs_default(attribute.default)
    if dataclasses.is_dataclass(cls):
        for part in dataclasses.fields(cls):
            fields[part.name] = _dataclass_default(part)
    return fields


def _constant(value: Any) -> Default:
    return lambda obj: value


def _attrs_default(default: Any) -> Default | None:
    if default is attrs.NOTHING:
        return None
    if not isinstance(default, attrs.Factory):  # type: ignore[arg-type]
        return _constant(default)
    factory = default.factory
    return factory if default.takes_self else lambda obj: factory()


def _dataclass_default(part: dataclasses.Field[Any]) -> Default | None:
    if part.default is not dataclasses.MISSING:
        return _constant(part.default)
    factory = part.default_factory
    return None if factory is dataclasses.MISSING else lambda obj: factory()


def base_of(cls: type) -> type:
    """Return the type of Python's own that a class is derived from; object, if it is no other."""
    return next((base for base in cls.__mro__ if base in CONTENTS_OF), object)


def slots_of(cls: type) -> dict[str, Any]:
    """Return the descriptors of all attributes that a class keeps outside of ``__dict__``."""
    return {
        name: member
        for base in reversed(cls.__mro__)
        if "__slots__" in vars(base)
        for name, member in vars(base).items()
        if isinstance(member, MemberDescriptorType)
    }


def has_hidden_state(cls: type) -> bool:
    """Return whether instances hold something besides attributes and contents, as in C code."""
    if issubclass(cls, Enum):
        return False
    base = base_of(cls)
    words = len(slots_of(cls))
    words += cls.__weakrefoffset__ > 0 and base.__weakrefoffset__ == 0
    # Below zero: kept in front of the object, except behind those of any length, as tuples are.
    outside = cls.__dictoffset__ < 0 and base.__itemsize__ == 0
    words += cls.__dictoffset__ != 0 and base.__dictoffset__ == 0 and not outside
    word = tuple.__itemsize__
    return cls.__basicsize__ > base.__basicsize__ + words * word


def is_python(cls: type) -> bool:
    """Return whether a class was made by a ``class`` statement, or could have been."""
    return cls.__dictoffset__ != 0 or any("__slots__" in vars(base) for base in cls.__mro__)


def found(cls: type) -> Any:
    """Return what is found under a class's name in the modules that are loaded."""
    holder: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        holder = getattr(holder, "__dict__", {}).get(name)
    return holder


def records_in(module: ModuleType) -> Iterator[type]:
    """Return the records of a module, those it imported, and those of the modules of all these."""
    modules, seen = [module], {id(module)}
    while modules:
        for cls in filter(is_record, _classes_in(modules.pop())):
            yield cls
            home = sys.modules.get(cls.__module__)
            if home is not None and id(home) not in seen:
                seen.add(id(home))
                modules.append(home)


def _classes_in(module: ModuleType) -> Iterator[type]:
    """Return the classes of a module, and those inside them."""
    pending: list[Any] = [module]
    seen = set()
    while pending:
        for value in list(vars(pending.pop()).values()):
            if isinstance(value, type) and value not in seen:
                seen.add(value)
                yield value
                if value.__module__ == getattr(module, "__name__", None):
                    pending.append(value)
