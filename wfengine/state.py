"""The position of an engine: which token, and which task."""

from collections.abc import Iterable
from typing import Any

from attrs import define, field

__all__ = ["MachineState", "set_token_pos"]

BEFORE_FIRST_TOKEN = -1
FIRST_TASK = (0,)


def _token_pos(value: int | None) -> int:
    return BEFORE_FIRST_TOKEN if value is None else value


def _check_token_pos(state: object, attribute: object, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"token_pos is a whole number, not {value!r}")
    if value < BEFORE_FIRST_TOKEN:
        raise AttributeError(f"token_pos is at least {BEFORE_FIRST_TOKEN}, not {value}")


def _callback_pos(value: Iterable[int] | None) -> list[int]:
    return list(FIRST_TASK if value is None else value)


def _check_callback_pos(state: object, attribute: object, value: list[int]) -> None:
    if not value:
        raise AttributeError("callback_pos needs an index for each level of nesting, got none")
    for index in value:
        if isinstance(index, bool) or not isinstance(index, int):
            raise TypeError(f"callback_pos is a list of whole numbers, not {value!r}")
        if index < 0:
            raise AttributeError(f"an index in callback_pos is at least 0: {value!r}")


@define
class MachineState:
    """Where an engine stands: a few integers that can be stored, compared, moved and resumed.

    :param token_pos: index of the current token; -1 before the first. It is moved on before a
        token is taken.
    :param callback_pos: one index for each level of nesting. While a task runs it addresses that
        task, and still does when the task raised; after the last task it points past the end.
    :raises AttributeError: for a position that cannot exist.
    :raises TypeError: for one that is not made of whole numbers.

    >>> state = MachineState(3, [1, 0])
    >>> MachineState(**state.to_dict()) == state
    True
    """

    token_pos: int = field(default=None, converter=_token_pos, validator=_check_token_pos)
    callback_pos: list[int] = field(
        default=None, converter=_callback_pos, validator=_check_callback_pos
    )

    def reset(self) -> None:
        """Go back to before the first token, at the first task."""
        self.token_pos_reset()
        self.callback_pos_reset()

    def token_pos_reset(self) -> None:
        """Go back to before the first token."""
        set_token_pos(self, BEFORE_FIRST_TOKEN)

    def callback_pos_reset(self) -> None:
        """Go back to the first task."""
        set_callback_pos(self, list(FIRST_TASK))

    def copy(self) -> "MachineState":
        """Return an equal state that shares nothing with this one."""
        return MachineState(self.token_pos, self.callback_pos)

    __copy__ = copy

    def to_dict(self) -> dict[str, Any]:
        """Return the position as plain data."""
        return {"token_pos": self.token_pos, "callback_pos": list(self.callback_pos)}


set_token_pos: Any = MachineState.__dict__["token_pos"].__set__
"""Write ``token_pos`` unchecked, for the loop over the tokens, whose indexes are right."""

set_callback_pos: Any = MachineState.__dict__["callback_pos"].__set__
"""The same for ``callback_pos``."""
