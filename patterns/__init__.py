"""Control flow as plain callables, and lists of them; shipped as ``wfengine.patterns``."""

from . import controlflow, utils
from .controlflow import *  # noqa: F403 - the two modules declare what is public
from .utils import *  # noqa: F403

__all__ = controlflow.__all__ + utils.__all__
