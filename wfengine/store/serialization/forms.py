"""How the values of one class are stored and built again: the contract, and the two small forms.

The others are in ``built_ins`` (what Python brings along) and ``instances`` (by attributes).
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, Flag
from typing import Any

from wfengine.store.serialization.faults import FaultError, attempt, said, short, shown
from wfengine.store.serialization.text import TAG, VALUE, name_of

Write = Callable[[Any, int], Any]
Read = Callable[[Any], Any]


class Form:
    """How the values of one class are stored, under which tag, and how they are built again."""

    def __init__(self, cls: type) -> None:
        self.cls = cls
        self.tag = name_of(cls)

    def write(self, value: Any, write: Write, room: int) -> dict[str, Any]:
        """Return the tagged object.

        :param write: returns the structure of what is inside.
        :param room: how many levels of JSON there may be, the tagged object's own included.
        """
        raise NotImplementedError

    def read(self, structure: dict[str, Any], read: Read) -> Any:
        """Return the value for a tagged object; ``read`` returns that of a structure inside."""
        raise NotImplementedError


class EnumForm(Form):
    """A member by its name, a combination of flags by its value."""

    def __init__(self, cls: type[Enum]) -> None:
        super().__init__(cls)
        self.members = cls.__members__

    def write(self, value: Enum, write: Write, room: int) -> dict[str, Any]:
        """Write the name, or the number that stands for several members."""
        is_member = self.members.get(value._name_) is value
        return {TAG: self.tag, VALUE: value._name_ if is_member else write(value._value_, room - 1)}

    def read(self, structure: dict[str, Any], read: Read) -> Any:
        """Find the member."""
        name = value_in(structure)
        member = self.members.get(name) if type(name) is str else None
        if member is not None:
            return member
        number = read(name)
        if not issubclass(self.cls, Flag) or type(number) is not int:
            raise FaultError(f"{self.tag} has no member {shown(name)}")
        return attempt(self.cls, number, f"no {self.tag}")


class FunctionForm(Form):
    """Whatever the user's functions make of a value."""

    def __init__(
        self, cls: type, unstructure: Callable[[Any], Any], structure: Callable[[Any], Any]
    ) -> None:
        super().__init__(cls)
        self.unstructure = unstructure
        self.structure = structure

    def write(self, value: Any, write: Write, room: int) -> dict[str, Any]:
        """Write what the one function returns."""
        try:
            parts = self.unstructure(value)
        except Exception as error:
            reason = f"which its function could not unstructure: {said(error)}"
            raise FaultError(reason, self.cls) from error
        return {TAG: self.tag, VALUE: write(parts, room - 1)}

    def read(self, structure: dict[str, Any], read: Read) -> Any:
        """Return what the other function makes of it."""
        parts = read(value_in(structure))
        return attempt(self.structure, parts, f"{self.tag} could not be structured")


def value_in(structure: dict[str, Any]) -> Any:
    """Return the one part of a tagged object that consists of nothing else."""
    if structure.keys() != {TAG, VALUE}:
        raise strange_parts(structure)
    return structure[VALUE]


def strange_parts(structure: dict[str, Any]) -> FaultError:
    """Return the fault of a tagged object that has other parts than those of its form."""
    return FaultError(f"{structure[TAG]} has the parts {short(sorted(structure))}")
