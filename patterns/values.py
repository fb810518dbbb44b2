"""Small tasks that read, write, call, or do nothing; some are handy as operands of CMP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from wfengine.callbacks import Task, task_name
from wfengine.description import Description, Part, described
from wfengine.errors import WorkflowDefinitionError, WorkflowError
from wfengine.interpreter import Process, settle

from .parts import as_condition, as_key, as_value, ask, named, proceed, then

__all__ = ["CALLFUNC", "EMPTY_CALL", "ENG_GET", "ENG_SET", "ERROR", "OBJ_GET", "OBJ_SET"]

MISSING: Any = object()


def EMPTY_CALL(obj: Any, eng: Any) -> None:
    """Do nothing; stands where a task is needed."""


described(EMPTY_CALL, Description("EMPTY_CALL"))


def ENG_GET(something: str, default: Any = None) -> Task:
    """Return a callable that reads a key of ``eng.extra_data``."""
    as_key(something, "ENG_GET's key")

    def get(obj: Any, eng: Any) -> Any:
        return eng.extra_data.get(something, default)

    return described(
        named(get, f"ENG_GET({something!r})"), Description("ENG_GET", label=str(something))
    )


def ENG_SET(something: str, value: Any) -> Task:
    """Write a key of ``eng.extra_data``; the value may be a callable ``(obj, eng)``."""
    as_key(something, "ENG_SET's key")
    as_value(value, "ENG_SET's value")

    def put(obj: Any, eng: Any) -> Any:
        return then(ask(value, obj, eng), lambda found: _set_item(eng.extra_data, something, found))

    return described(
        named(put, "ENG_SET"),
        Description("ENG_SET", parts=(Part("value", value),), label=str(something)),
    )


def OBJ_GET(something: Any, cond: str = "all") -> Task:
    """Return a callable that reads a key, or an attribute, of the token.

    :param something: one name, whose value is returned, None if it is not there; or a list of
        names, for a list of values.
    :param cond: for several names: ``all`` returns None unless every one is there, ``any``
        returns those that are there, or None, ``one`` the first that is there, or None.
    """
    if cond not in ("all", "any", "one"):
        raise WorkflowDefinitionError(f"OBJ_GET's cond is 'all', 'any' or 'one', not {cond!r}")

    def get(obj: Any, eng: Any) -> Any:
        if not isinstance(something, list | tuple):
            found = _read(obj, something)
            return None if found is MISSING else found
        values = [value for name in something if (value := _read(obj, name)) is not MISSING]
        if not values or (cond == "all" and len(values) < len(something)):
            return None
        return values[0] if cond == "one" else values

    return described(
        named(get, f"OBJ_GET({something!r})"), Description("OBJ_GET", label=str(something))
    )


def OBJ_SET(something: Any, value: Any) -> Task:
    """Write a key, or an attribute, of the token; the value may be a callable ``(obj, eng)``."""
    as_value(value, "OBJ_SET's value")

    def put(obj: Any, eng: Any) -> Any:
        return then(ask(value, obj, eng), lambda found: _write(obj, something, found))

    return described(
        named(put, "OBJ_SET"),
        Description("OBJ_SET", parts=(Part("value", value),), label=str(something)),
    )


def _set_item(holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def _read(obj: Any, name: Any) -> Any:
    if hasattr(obj, "__getitem__"):
        try:
            return obj[name]
        except (LookupError, TypeError):
            pass
    return getattr(obj, name, MISSING) if isinstance(name, str) else MISSING


def _write(obj: Any, name: Any, value: Any) -> None:
    if hasattr(obj, "__setitem__"):
        obj[name] = value
    else:
        setattr(obj, name, value)


def ERROR(msg: str = "Error in the workflow") -> Task:
    """Raise a WorkflowError."""

    def task(obj: Any, eng: Any) -> NoReturn:
        raise WorkflowError(msg)

    return described(named(task, "ERROR"), Description("ERROR", label=msg))


def CALLFUNC(
    func: Callable[..., Any],
    outkey: str | None = None,
    args: Iterable[Any] = (),
    oeargs: Iterable[Task] = (),
    ekeys: Mapping[str, str] | None = None,
    okeys: Mapping[str, Any] | None = None,
    **kwargs: Any,
) -> Task:
    """Call an ordinary function, its arguments taken from the token and the engine.

    :param outkey: the key of ``eng.extra_data`` that gets the result.
    :param args: positional arguments as they are.
    :param oeargs: further positional arguments, each a callable ``(obj, eng)``.
    :param ekeys: keyword arguments by the key of ``eng.extra_data`` that holds them.
    :param okeys: keyword arguments by the key, or attribute, of the token.
    :param kwargs: keyword arguments as they are.
    :raises WorkflowError: when a key is not there.
    """
    if not callable(func):
        raise WorkflowDefinitionError(f"CALLFUNC calls a function, not {func!r}")
    if outkey is not None:
        as_key(outkey, "CALLFUNC's outkey")
    fixed = _collection(args, "CALLFUNC's args")
    asked = [
        as_condition(each, "CALLFUNC's oeargs") for each in _collection(oeargs, "CALLFUNC's oeargs")
    ]
    from_engine = _mapping(ekeys, "CALLFUNC's ekeys")
    from_token = _mapping(okeys, "CALLFUNC's okeys")
    name = f"CALLFUNC({task_name(func)})"

    def call(obj: Any, eng: Any) -> Process:
        by_name = {
            **kwargs,
            **_taken(name, from_engine, eng.extra_data, "extra_data"),
            **_taken(name, from_token, obj, type(obj).__name__),
        }
        found = []
        for each in asked:
            found.append((yield from settle(each(obj, eng))))  # noqa: PERF401 - it yields
        result = yield from settle(func(*fixed, *found, **by_name))
        if outkey is not None:
            eng.extra_data[outkey] = result

    def task(obj: Any, eng: Any) -> Any:
        return proceed(call(obj, eng))

    parts = (Part("function", func), *(Part("argument", each) for each in asked))
    description = Description("CALLFUNC", parts=parts, label=task_name(func))
    return described(named(task, name), description)


def _collection(values: Any, of: str) -> list[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise WorkflowDefinitionError(f"{of} is a list, not {values!r}")
    return list(values)


def _mapping(names: Any, of: str) -> dict[str, Any]:
    if names is not None and not isinstance(names, Mapping):
        raise WorkflowDefinitionError(f"{of} is a dictionary from argument to key, not {names!r}")
    return dict(names or {})


def _taken(pattern: str, names: dict[str, Any], holder: Any, where: str) -> dict[str, Any]:
    """Return arguments by name, each read from the key or attribute it is taken from."""
    values = {name: _read(holder, key) for name, key in names.items()}
    for name, value in values.items():
        if value is MISSING:
            raise WorkflowError(
                f"{pattern}: argument {name!r} is taken from {names[name]!r}, "
                f"which {where} does not have"
            )
    return values
