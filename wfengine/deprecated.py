"""Every spelling of the Workflow library's first version, in one place.

Each works, and warns with the name that took its place.
"""

from __future__ import annotations

import warnings
from collections import UserDict
from collections.abc import Callable
from typing import Any

from wfengine.errors import JumpToken

__all__ = ["DeprecatedSpellings", "callbacks_by_feature", "old_error"]


def _warn(old: str, new: str, stacklevel: int = 3) -> None:
    warnings.warn(f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=stacklevel)


def _renamed(old: str, new: str) -> Callable[..., Any]:
    """Return a method that calls another one, found by the dotted name ``new`` from the engine."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        _warn(old, f"eng.{new}")
        found = self
        for name in new.split("."):
            found = getattr(found, name)
        return found(*args, **kwargs)

    method.__name__ = old
    method.__doc__ = f"Old spelling of ``{new}``."
    return method


class Store(UserDict[str, Any]):
    """The old ``eng.store``: ``eng.extra_data`` itself, with ``setget``."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def setget(self, key: str, default: Any = None) -> Any:
        """Return the value under ``key``, put there first if it is missing."""
        return self.data.setdefault(key, default)


class DeprecatedSpellings:
    """The old names of the engine's methods."""

    haltProcessing = _renamed("haltProcessing", "halt")
    stopProcessing = _renamed("stopProcessing", "stop")
    abortProcessing = _renamed("abortProcessing", "abort")
    skipToken = _renamed("skipToken", "skip_token")
    continueNextToken = _renamed("continueNextToken", "continue_next_token")
    breakFromThisLoop = _renamed("breakFromThisLoop", "break_current_loop")
    jumpToken = _renamed("jumpToken", "jump_token")
    jumpCall = _renamed("jumpCall", "jump_call")
    setWorkflow = _renamed("setWorkflow", "callbacks.replace")
    removeAllCallbacks = _renamed("removeAllCallbacks", "callbacks.clear_all")
    removeCallbacks = _renamed("removeCallbacks", "callbacks.clear")
    getCallbacks = _renamed("getCallbacks", "callbacks.get")

    def jumpTokenForward(self: Any, offset: int = 1) -> Any:
        """Old spelling of ``jump_token``, forwards."""
        _warn("jumpTokenForward", "eng.jump_token(offset)")
        self.jump_token(abs(offset))

    def jumpTokenBack(self: Any, offset: int = -1) -> Any:
        """Old spelling of ``jump_token``, backwards whatever the offset's sign."""
        _warn("jumpTokenBack", "eng.jump_token(-offset)")
        self.jump_token(-abs(offset))

    def jumpCallForward(self: Any, offset: int = 1) -> Any:
        """Old spelling of ``jump_call``, forwards."""
        _warn("jumpCallForward", "eng.jump_call(offset)")
        self.jump_call(abs(offset))

    def jumpCallBack(self: Any, offset: int = -1) -> Any:
        """Old spelling of ``jump_call``, backwards whatever the offset's sign."""
        _warn("jumpCallBack", "eng.jump_call(-offset)")
        self.jump_call(-abs(offset))

    def addCallback(self: Any, key: Any, func: Any) -> None:
        """Old spelling of ``callbacks.add``; takes its arguments in either order."""
        _warn("addCallback", "eng.callbacks.add(func, key)")
        self.callbacks.add(*_key_last(key, func))

    def addManyCallbacks(self: Any, key: Any, list_or_tuple: Any) -> None:
        """Old spelling of ``callbacks.add_many``; takes its arguments in either order."""
        _warn("addManyCallbacks", "eng.callbacks.add_many(funcs, key)")
        self.callbacks.add_many(*_key_last(key, list_or_tuple))

    def replaceCallbacks(self: Any, key: Any, funcs: Any) -> None:
        """Old spelling of ``callbacks.replace``; takes its arguments in either order."""
        _warn("replaceCallbacks", "eng.callbacks.replace(funcs, key)")
        self.callbacks.replace(*_key_last(key, funcs))

    def setPosition(self: Any, obj_pos: int, task_pos: list[int]) -> None:
        """Old way to write ``state.token_pos`` and ``state.callback_pos``."""
        _warn("setPosition", "eng.state.token_pos and eng.state.callback_pos")
        self.state.token_pos = obj_pos
        self.state.callback_pos = task_pos

    def getCurrObjId(self: Any) -> int:
        """Old spelling of ``state.token_pos``."""
        _warn("getCurrObjId", "eng.state.token_pos")
        return int(self.state.token_pos)

    def getCurrTaskId(self: Any) -> list[int]:
        """Old spelling of ``state.callback_pos``."""
        _warn("getCurrTaskId", "eng.state.callback_pos")
        return list(self.state.callback_pos)

    @property
    def store(self: Any) -> Store:
        """Old spelling of ``extra_data``."""
        _warn("store", "eng.extra_data")
        return Store(self.extra_data)

    def setVar(self: Any, key: str, value: Any) -> None:
        """Old way to write ``extra_data``."""
        _warn("setVar", "eng.extra_data[key] = value")
        self.extra_data[key] = value

    def getVar(self: Any, key: str, default: Any = None) -> Any:
        """Old way to read ``extra_data``; puts the default there when the key is missing."""
        _warn("getVar", "eng.extra_data.setdefault(key, default)")
        return self.extra_data.setdefault(key, default)

    def hasVar(self: Any, key: str) -> bool:
        """Old way to ask whether a key is in ``extra_data``."""
        _warn("hasVar", "key in eng.extra_data")
        return key in self.extra_data

    def delVar(self: Any, key: str) -> None:
        """Old way to remove a key from ``extra_data``, if it is there."""
        _warn("delVar", "eng.extra_data.pop(key, None)")
        self.extra_data.pop(key, None)

    def duplicate(self: Any) -> Any:
        """Old way to get an engine for a branch, with the same definition."""
        _warn("duplicate", "eng.child(callbacks)")
        return self.child(self.callbacks.get("*") if not self.callbacks.empty() else [])


def _key_last(one: Any, other: Any) -> tuple[Any, Any]:
    return (other, one) if isinstance(one, str) else (one, other)


def callbacks_by_feature(eng: Any, obj: Any) -> Any:
    """Return the definition kept under the token's old ``getFeature('type')``, if it has one."""
    if not hasattr(obj, "getFeature"):
        return None
    _warn("a token's getFeature('type')", "a callback_chooser of your own", stacklevel=2)
    key = obj.getFeature("type")
    return eng.callbacks.get(key) if key in eng.callbacks.get(None) else None


class JumpTokenForward(JumpToken):
    """Old spelling of ``JumpToken(offset)``."""

    def __init__(self, offset: int = 1) -> None:
        super().__init__(abs(offset))


class JumpTokenBack(JumpToken):
    """Old spelling of ``JumpToken(-offset)``, whatever the offset's sign."""

    def __init__(self, offset: int = -1) -> None:
        super().__init__(-abs(offset))


def old_error(name: str, module: str) -> Any:
    """Return an exception by its old name, with a warning.

    :raises AttributeError: for a name that was never there.
    """
    old: dict[str, tuple[type, str]] = {
        "JumpTokenForward": (JumpTokenForward, "JumpToken(offset)"),
        "JumpTokenBack": (JumpTokenBack, "JumpToken(-offset)"),
    }
    if name not in old:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    error, new = old[name]
    _warn(name, new, stacklevel=4)
    return error
