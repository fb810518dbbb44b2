"""What an authoring style hands to everybody who runs, draws or checks definitions.

An object of a style, such as a template for flows, has a method ``__wfengine_definition__`` that
takes nothing and returns the definition it comes to. Wherever a definition can be given, or be
found by name, such an object can, too.
"""

from __future__ import annotations

from typing import Any

__all__ = ["METHOD", "compiled"]

METHOD = "__wfengine_definition__"


def compiled(found: Any) -> Any:
    """Return the definition that an object of a style comes to, and anything else as it is.

    :raises WorkflowDefinitionError: when it comes to none.

    >>> class Greeting:
    ...     def __wfengine_definition__(self):
    ...         return [lambda obj, eng: print("hello", obj)]
    >>> len(compiled(Greeting())), compiled([len])
    (1, [<built-in function len>])
    """
    method = getattr(type(found), METHOD, None)
    return found if method is None else method(found)
