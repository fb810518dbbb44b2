"""Pages of a long list, counted by the store."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Paging"]


@frozen
class Paging:
    """Which part of a list is shown.

    :param number: of the page, from 1 on.
    :param total: how many items there are.
    """

    number: int
    size: int
    total: int

    @classmethod
    def of(cls, number: int, size: int, total: int) -> Paging:
        """Return the page of a number, or the last one if there are not so many."""
        last = max(-(-total // size), 1)
        return cls(min(max(number, 1), last), size, total)

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(-(-self.total // self.size), 1)

    @property
    def offset(self) -> int:
        """How many items are before this page."""
        return (self.number - 1) * self.size

    @property
    def first(self) -> int:
        """The number of the first item on it."""
        return min(self.offset + 1, self.total)

    @property
    def last(self) -> int:
        """The number of the last item on it."""
        return min(self.offset + self.size, self.total)
