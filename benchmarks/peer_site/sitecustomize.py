"""Puts back, for the peer, the names that left ``collections`` with Python 3.10."""

import collections
from collections import abc

for name in abc.__all__:
    setattr(collections, name, getattr(abc, name))
