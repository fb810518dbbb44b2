"""From the structure that a JSON text gives to the value that was stored."""

from __future__ import annotations

from typing import Any

from wfengine.store.serialization.built_ins import BY_TAG
from wfengine.store.serialization.faults import FaultError, short, shown
from wfengine.store.serialization.known_classes import KnownClasses
from wfengine.store.serialization.text import TAG

NESTED = (dict, list)


class Reader:
    """Goes through a structure, and has a form read each part that is tagged."""

    def __init__(self, known: KnownClasses) -> None:
        self._known = known

    def read(self, structure: Any) -> Any:
        """Return the value of a structure; itself where nothing in it is tagged."""
        cls = type(structure)
        if cls is dict:
            return (
                self._read_tagged(structure) if TAG in structure else self._read_inside(structure)
            )
        return self._read_inside(structure) if cls is list else structure

    def _read_inside(self, holder: Any) -> Any:
        changed = None
        key = None
        try:
            for key, item in holder.items() if type(holder) is dict else enumerate(holder):
                if type(item) in NESTED:
                    found = self.read(item)
                    if found is not item:
                        if changed is None:
                            changed = holder.copy()
                        changed[key] = found
        except FaultError as fault:
            fault.inside(f"[{short(key)}]")
            raise
        return holder if changed is None else changed

    def _read_tagged(self, structure: dict[str, Any]) -> Any:
        tag = structure[TAG]
        if type(tag) is not str:
            raise FaultError(f"a tag is a text, not {shown(tag)}")
        form = BY_TAG.get(tag) or self._known.form_to_read(tag)
        return form.read(structure, self.read)
