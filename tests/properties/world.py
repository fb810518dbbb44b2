"""The user's side of a run: tokens, and callables that write down that they were there.

The engine's tasks and the model's ask the same :class:`World` what to do; it knows nothing of
either.
"""

from typing import Any

from attrs import define, field, frozen

from .definitions import Act, Reading

FUEL = 120
OUT_OF_FUEL = Act("error", text="out of fuel", error="RuntimeError")
INJECTED = Act("halt", text="injected")

Token = dict[str, Any]


@frozen
class Visit:
    """That a callable was there: for which token, and where the engine stood."""

    name: str
    token: str
    token_pos: int
    callback_pos: tuple[int, ...]
    item: Any = None
    is_reading: bool = False


@define
class World:
    """What the callables of a run share.

    :param halt_at: a lane and a number of visits in it, at which the next callable halts, once.
    """

    halt_at: tuple[str, int] | None = None
    trace: dict[str, list[Visit]] = field(factory=dict)

    def arrive(
        self, call: Any, token: Token, token_pos: int, position: Any, item: Any = None
    ) -> Any:
        """Record a visit and return what the callable does or answers this time.

        A lane's fuel ends every run that would never end.
        """
        trace = self.trace.setdefault(call.lane, [])
        if self.halt_at == (call.lane, len(trace)):
            self.halt_at = None
            return INJECTED
        is_reading = isinstance(call, Reading)
        if not is_reading and sum(not visit.is_reading for visit in trace) >= FUEL:
            return OUT_OF_FUEL
        trace.append(Visit(call.name, token["id"], token_pos, tuple(position), item, is_reading))
        return call.value if is_reading else self._scripted(call, token)

    @staticmethod
    def _scripted(call: Any, token: Token) -> Any:
        visit = token["visits"].get(call.name, 0)
        token["visits"][call.name] = visit + 1
        return call.script[visit] if visit < len(call.script) else call.finally_


def new_tokens(number: int) -> list[Token]:
    """Return tokens, each with two parts for a RUN_WF to work on."""
    return [_token(str(place), parts=2) for place in range(number)]


def _token(name: str, parts: int) -> Token:
    inside = [_token(f"{name}.{place}", 0) for place in range(parts)]
    return {"id": name, "visits": {}, "parts": inside}


def total(*numbers: Any, **named: Any) -> list[Any]:
    """What CALLFUNC calls."""
    return [list(numbers), [list(pair) for pair in sorted(named.items())]]
