"""From a value to the structure that JSON text is made of."""

from __future__ import annotations

from math import isfinite
from typing import Any

from wfengine.store.serialization.built_ins import BUILT_INS
from wfengine.store.serialization.faults import FaultError, short, too_deep
from wfengine.store.serialization.forms import Form
from wfengine.store.serialization.known_classes import KnownClasses
from wfengine.store.serialization.text import TAG, is_true_text

SIMPLE = frozenset({bool, type(None)})
LEAST, MOST = -(2**63), 2**63 - 1


class Writer:
    """Goes through a value, and has a form write each part that JSON does not have."""

    def __init__(self, known: KnownClasses) -> None:
        self._known = known
        self._hooks = known.hooks

    def write(self, value: Any, room: int) -> Any:
        """Return the structure of a value; itself where that has nothing to tag.

        :param room: how many levels there may be.
        """
        cls = type(value)
        if cls is str:
            if value.isascii() or is_true_text(value):
                return value
        elif cls in SIMPLE or (cls is int and LEAST <= value <= MOST):
            return value
        elif cls is dict:
            return self._write_dict(value, room)
        elif cls is list:
            return self._write_inside(value, room)
        elif cls is float and isfinite(value):
            return value
        # Most classes have no hook, and are spared the call.
        by_hook = self._hooks.form_to_write(cls) if cls in self._hooks.unstructure else None
        form = by_hook or BUILT_INS.get(cls) or self._known.form_to_write(cls)
        return self._write_tagged(form, value, room)

    def _write_tagged(self, form: Form, value: Any, room: int) -> Any:
        try:
            if room <= 0:
                raise too_deep()
            return form.write(value, self.write, room)
        except FaultError as fault:
            fault.inside("", value)
            raise

    def _write_dict(self, value: dict[Any, Any], room: int) -> Any:
        # Asked before anything inside is written, as that would have to be written again.
        if not has_true_keys(value) or TAG in value:
            return self._write_tagged(BUILT_INS[dict], value, room)
        return self._write_inside(value, room)

    def _write_inside(self, holder: Any, room: int) -> Any:
        if room <= 0:
            raise too_deep()
        changed = None
        key = None
        try:
            for key, item in holder.items() if type(holder) is dict else enumerate(holder):
                cls = type(item)
                if (
                    (cls is str and item.isascii())
                    or cls in SIMPLE
                    or (cls is int and LEAST <= item <= MOST)
                    or (cls is float and isfinite(item))
                ):
                    continue  # no call for what most tokens consist of
                written = self.write(item, room - 1)
                if written is not item:
                    if changed is None:
                        changed = holder.copy()
                    changed[key] = written
        except FaultError as fault:
            fault.inside(f"[{short(key)}]", holder)
            raise
        return holder if changed is None else changed


def has_true_keys(value: dict[Any, Any]) -> bool:
    """Return whether JSON gives the keys of a dict back as they are."""
    for key in value:
        if type(key) is not str or not (key.isascii() or is_true_text(key)):
            return False
    return True
