"""The functions that a user registered on a cattrs converter, for single classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cattrs

from wfengine.store.serialization.faults import FaultError
from wfengine.store.serialization.forms import FunctionForm
from wfengine.store.serialization.text import name_of

_Functions = Mapping[type, Callable[..., Any]]


def _functions(converter: cattrs.BaseConverter) -> tuple[_Functions, _Functions]:
    """Return a converter's functions for single classes, of both directions, as they come and go.

    Cattrs itself only tells which function serves a class in the end, a generated one as well.
    """
    return (
        converter._unstructure_func._single_dispatch.registry,
        converter._structure_func._single_dispatch.registry,
    )


_UNSTRUCTURE, _STRUCTURE = _functions(cattrs.Converter())


class Hooks:
    """The hooks of a converter, without those that every new converter has.

    :ivar unstructure: all of its functions for that direction, by their classes.
    """

    def __init__(self, converter: cattrs.BaseConverter) -> None:
        self.unstructure, self._structure = _functions(converter)

    def form_to_write(self, cls: type) -> FunctionForm | None:
        """Return the form of a class with hooks, of one without any None.

        :raises FaultError: it has one for this direction alone.
        """
        unstructure = self.unstructure.get(cls)
        if unstructure is None or unstructure is _UNSTRUCTURE.get(cls):
            return None
        if self.form_to_read(cls) is None:
            raise FaultError(
                "which has a hook that unstructures it and none that structures it: "
                f"store.types.converter.register_structure_hook({cls.__qualname__}, ...)",
                cls,
            )
        return FunctionForm(cls, unstructure, _one_way)

    def form_to_read(self, cls: type) -> FunctionForm | None:
        """Return the form of a class that has a hook for this direction, of another one None."""
        structure = self._structure.get(cls)
        if structure is None or structure is _STRUCTURE.get(cls):
            return None
        return FunctionForm(cls, _one_way, lambda parts: structure(parts, cls))

    def class_named(self, name: str) -> type | None:
        """Return the class of that name which can be read by a hook."""
        named = (cls for cls in list(self._structure) if name_of(cls) == name)
        return next(filter(self.form_to_read, named), None)


def _one_way(parts: Any) -> Any:
    raise NotImplementedError
