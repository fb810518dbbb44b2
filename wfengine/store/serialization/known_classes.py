"""The classes whose instances can be stored or loaded, and how."""

from __future__ import annotations

from functools import partial
from types import (
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
    ModuleType,
)

import cattrs

from wfengine.store.serialization.built_ins import BUILT_INS
from wfengine.store.serialization.classes import found, has_hidden_state, is_record
from wfengine.store.serialization.faults import FaultError, short
from wfengine.store.serialization.forms import Form
from wfengine.store.serialization.hooks import Hooks
from wfengine.store.serialization.instances import InstanceForm, form_of, is_refillable
from wfengine.store.serialization.text import name_of

_CODE = frozenset(
    {
        BuiltinFunctionType,
        CoroutineType,
        FunctionType,
        GeneratorType,
        MethodType,
        ModuleType,
        partial,
    }
)


class KnownClasses:
    """What one process knows of classes: the forms of some, the names of all that can be loaded."""

    def __init__(self, converter: cattrs.BaseConverter) -> None:
        self.hooks = Hooks(converter)
        self._forms: dict[type, Form] = {}
        self._named: dict[str, type] = {}

    def add(self, cls: type) -> None:
        """Let a class be found by its name."""
        self._named[name_of(cls)] = cls

    def add_form(self, form: Form) -> None:
        """Let a class be stored, and found by its name."""
        self._forms[form.cls] = form
        self.add(form.cls)

    def form_to_write(self, cls: type) -> Form:
        """Return the form of a class without hooks, learning what says by itself how it is stored.

        :raises FaultError: it cannot be stored.
        """
        return self._forms.get(cls) or self._learned(cls)

    def form_to_read(self, tag: str) -> Form:
        """Return the form of the class that a tag names.

        :raises FaultError: nobody made it known.
        """
        if ":" not in tag:
            raise FaultError(f"nothing is stored under the tag {short(tag)}")
        cls = self._named.get(tag) or self.hooks.class_named(tag)
        if cls is None:
            raise FaultError(
                f"the stored data name {short(tag)[1:-1]}, which nobody registered here: "
                f"store.types.register({short(tag.rpartition(':')[2])[1:-1]}), "
                "or name the definition whose module has it"
            )
        self._named.setdefault(tag, cls)
        by_hook = self.hooks.form_to_read(cls)
        if by_hook is not None:
            return by_hook
        if cls not in self._forms:
            self._forms[cls] = form_of(cls)
        return self._forms[cls]

    def form_to_refill(self, cls: type) -> InstanceForm | None:
        """Return how attributes are read and set, if instances hold nothing else."""
        form = self._forms.get(cls)
        if isinstance(form, InstanceForm):
            return form
        return InstanceForm(cls) if cls not in BUILT_INS and is_refillable(cls) else None

    def _learned(self, cls: type) -> Form:
        if not is_record(cls):
            raise FaultError(_advice(cls), cls)
        if found(cls) is not cls:
            raise FaultError(
                f"which cannot be found again as {name_of(cls)}: define it at the top of its "
                f"module, or register it: store.types.register({cls.__qualname__})",
                cls,
            )
        if has_hidden_state(cls):
            raise FaultError(_advice(cls), cls)
        form = form_of(cls)
        self.add_form(form)
        return form


def _advice(cls: type) -> str:
    if issubclass(cls, type) or cls in _CODE:
        return "which is code and no data: keep a name, or what it is made from"
    functions = ", unstructure, structure" if has_hidden_state(cls) else ""
    name = cls.__qualname__
    return (
        f"which cannot be stored as it is; register it: store.types.register({name}{functions}), "
        f"or a cattrs hook: store.types.converter.register_unstructure_hook({name}, ...)"
    )
