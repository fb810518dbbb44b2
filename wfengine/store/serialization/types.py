"""What one store can store, and how: the whole of this package for those who use it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

import cattrs

from wfengine.errors import DamagedDataError
from wfengine.store.serialization.built_ins import BUILT_INS
from wfengine.store.serialization.classes import has_hidden_state, records_in
from wfengine.store.serialization.contents import REFILLS
from wfengine.store.serialization.faults import FaultError, damaged, fault_of, not_storable
from wfengine.store.serialization.forms import Form, FunctionForm
from wfengine.store.serialization.instances import form_of
from wfengine.store.serialization.known_classes import KnownClasses
from wfengine.store.serialization.reader import Reader
from wfengine.store.serialization.text import MAX_LEVELS, name_of, structure_of, text_of
from wfengine.store.serialization.writer import SIMPLE, Writer

_Class = TypeVar("_Class", bound=type)


class Types:
    """What can be stored, and how; one for each store.

    Attrs classes, dataclasses, NamedTuples and Enums that stand at the top of a module are stored
    as they are. They are loaded when this process knows them: they were registered, stored before,
    or found in a module that the operator named. Stored data never makes anything known.

    A hook that was registered on the converter for a class itself (not by a predicate) takes
    precedence over everything else for instances of exactly that class. It takes one for each
    direction. What a hook returns may in turn be anything storable.

    :param converter: a cattrs converter to register hooks on; a new one by default.
    """

    def __init__(self, converter: cattrs.Converter | None = None) -> None:
        self.converter = cattrs.Converter() if converter is None else converter
        self._known = KnownClasses(self.converter)
        self._writer = Writer(self._known)
        self._reader = Reader(self._known)

    def register(
        self,
        cls: _Class,
        unstructure: Callable[[Any], Any] | None = None,
        structure: Callable[[Any], Any] | None = None,
    ) -> _Class:
        """Make a class storable, and loadable by its name; also as a decorator.

        Without functions an instance is stored by its attributes and, where the class is derived
        from ``dict``, ``list``, ``str`` and the like, its contents.

        :param unstructure: returns something storable for an instance.
        :param structure: returns the instance for what ``unstructure`` returned.
        :raises TypeError: it is no class, one function is missing, or instances hold something
            that Python code cannot read.
        """
        if not isinstance(cls, type):
            raise TypeError(f"a class can be registered, not {cls!r}")
        if cls in BUILT_INS or cls in SIMPLE or cls is list:
            raise TypeError(
                f"{cls.__name__} is stored already; a pair of cattrs hooks can store all but "
                "JSON's own types otherwise"
            )
        if (unstructure is None) != (structure is None):
            raise TypeError("unstructure and structure are given together, or neither is")
        if unstructure and structure:
            form: Form = FunctionForm(cls, unstructure, structure)
        elif has_hidden_state(cls):
            raise TypeError(
                f"instances of {name_of(cls)} hold more than attributes: register it with the "
                "functions unstructure and structure"
            )
        else:
            form = form_of(cls)
        self._known.add_form(form)
        return cls

    def trust(self, module: ModuleType) -> None:
        """Make the attrs classes, dataclasses, NamedTuples and Enums of a module loadable.

        Those that it imported count too, and with each its whole module, if that is loaded.
        """
        for cls in records_in(module):
            if not has_hidden_state(cls):
                self._known.add(cls)

    def dumps(self, value: Any, where: str = "") -> str:
        """Return the value as compact JSON in ASCII, the same for the same value.

        :param where: what an error calls the whole: ``token 3``.
        :raises NotStorableError: something in it cannot be stored, saying where and what to do.
        """
        try:
            return text_of(self.encode(value, where))
        except (TypeError, ValueError, RuntimeError) as error:
            # Every part was looked at: it became something else since, or the stack ends here.
            raise not_storable(fault_of(error), where) from error

    def loads(self, text: str) -> Any:
        """Return the value that :meth:`dumps` made a text of.

        :raises DamagedDataError: the text cannot come from there, or this process does not know a
            class that it names.
        """
        return self.decode(structure_of(text))

    def encode(self, value: Any, where: str = "") -> Any:
        """Return what JSON text is made of, as :meth:`dumps` does.

        It shares whatever needs no tags with the value: whoever keeps it, keeps a text instead.
        """
        try:
            return self._writer.write(value, MAX_LEVELS)
        except FaultError as fault:
            raise not_storable(fault, where) from fault.__cause__
        except RuntimeError as error:
            raise not_storable(fault_of(error), where) from error

    def decode(self, structure: Any) -> Any:
        """Return the value for what :meth:`encode` returned, sharing what needs no tags with it."""
        try:
            return self._reader.read(structure)
        except FaultError as fault:
            raise damaged(fault) from fault.__cause__
        except RecursionError as error:
            raise DamagedDataError("the stored data are nested too deep for the stack") from error

    @staticmethod
    def plain(text: str) -> Any:
        """Return the lists, dicts and scalars of a JSON text, tags left as they are.

        :raises DamagedDataError: it is no JSON, nested absurdly, or has a key twice.
        """
        return structure_of(text)

    def put_into(self, target: Any, value: Any) -> bool:
        """Make an object that others hold equal to a value of the same type, and say whether.

        What is inside is the value's own afterwards, not a copy. An object that cannot change, or
        is of another type, is left as it is.
        """
        cls = type(target)
        if type(value) is not cls:
            return False
        if target is value:
            return True
        if cls in REFILLS:
            REFILLS[cls](target, value)
            return True
        form = self._known.form_to_refill(cls)
        return form is not None and form.refill(target, value)
