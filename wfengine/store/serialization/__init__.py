"""Exact JSON text for the Python values of a run, and back; without pickle, eval or an import.

``None``, ``bool``, 64-bit ``int``, finite ``float``, ``str``, ``list`` and ``dict`` with text keys
are stored as JSON has them. Everything else is a tagged object: ``{"$": "Decimal", "v": "1.50"}``
for what Python brings along, and for an instance of a class the class's name with its attributes:
``{"$": "shop.models:Order", "v": {"number": 7}}``. An instance is built again without a call of its
``__init__``, and only of a class that somebody named: see :class:`Types`.

What comes back equals what was stored in type and value, and in the order of its keys. It is a
tree: an object that is reachable in two ways comes back as two, and one that holds itself is
refused. So is anything nested more than ``MAX_LEVELS`` deep, counted in levels of JSON.

``types`` is what others call. ``writer`` and ``reader`` go through a value; where it has something
to tag, they ask ``known_classes`` for its form, which is one of those in ``forms``, ``built_ins``
and ``instances``.
"""

from wfengine.store.serialization.text import MAX_LEVELS, TAG, VALUE, name_of, text_of
from wfengine.store.serialization.types import Types

__all__ = ["MAX_LEVELS", "TAG", "VALUE", "Types", "name_of", "text_of"]
