"""Resources that steps share: pools, and who has how much of them.

A step gets all that it asks for, or waits. Whoever has asked first for something of a pool is
served first, also if a later one could be served at once: so nobody waits for ever, and since all
ask in one order, nobody for each other. Who asks while something is kept, or held around it, may
do so all the same, and is refused then: :mod:`wfengine.steps.standstill`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field, frozen

from wfengine.errors import WorkflowDefinitionError

__all__ = ["Resource", "ResourcePool", "Wanted", "check_same", "wanted"]

LONGEST = 120


class Resource:
    """One piece of what a pool has; derive a class for each kind.

    :param name: for people.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class ResourcePool:
    """So many resources of one kind, that flows share by the pool's name.

    Flows in one process share it; with a store, all processes that have their runs there.

    :param name: of the pool.
    :param resource_cls: what it has, for people: steps count them, and none is made.
    :param policy: ``resource_limit`` says how many; without it there are as many as anybody wants.

    >>> ResourcePool("printers", policy={"resource_limit": 2}).load().limit
    2
    """

    def __init__(
        self,
        name: str,
        resource_cls: type[Resource] = Resource,
        policy: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(name, str) or not 0 < len(name) <= LONGEST or not name.isprintable():
            raise WorkflowDefinitionError(
                f"the name of a pool is a text of at most {LONGEST} characters, not {name!r}"
            )
        if not isinstance(resource_cls, type) or not issubclass(resource_cls, Resource):
            raise WorkflowDefinitionError(
                f"pool {name!r}: resource_cls is a class derived from Resource, not "
                f"{resource_cls!r}"
            )
        if policy is not None and not isinstance(policy, Mapping):
            raise WorkflowDefinitionError(
                f"pool {name!r}: policy is a dictionary, as {{'resource_limit': 2}}, not {policy!r}"
            )
        self.name = name
        self.resource_cls = resource_cls
        self.policy = dict(policy or {})
        self.limit = _limit(self.policy, name)

    def load(self) -> ResourcePool:
        """Return the pool, ready for use; its limit is what was given here."""
        return self

    def __repr__(self) -> str:
        count = self.limit or "no limit"
        return f"<ResourcePool {self.name}: {count} of {self.resource_cls.__name__}>"


def _limit(policy: Mapping[str, Any], name: str) -> int | None:
    unknown = [key for key in policy if key != "resource_limit"]
    if unknown:
        raise WorkflowDefinitionError(
            f"pool {name!r}: the policy has no {unknown[0]!r}, only 'resource_limit'"
        )
    limit = policy.get("resource_limit")
    if limit is None or limit == -1:
        return None
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise WorkflowDefinitionError(
            f"pool {name!r}: resource_limit is a whole number from 1 on, not {limit!r}"
        )
    return limit


@frozen
class Amount:
    """So much of one pool."""

    pool: ResourcePool
    number: int


@frozen
class Wanted:
    """What a step takes when it begins, and gives back when it ends.

    :param acquires: each pool once, in the one order in which all take them.
    :param releases: how much of which pool, by its name.
    """

    acquires: tuple[Amount, ...] = ()
    releases: Mapping[str, int] = field(factory=dict)
    pools: Mapping[str, ResourcePool] = field(factory=dict)
    """All of which it says something, by their names."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take or to give."""
        return not self.acquires and not self.releases

    @property
    def keeps(self) -> Mapping[str, int]:
        """How much of which pool it takes and does not give back."""
        takes = {amount.pool.name: amount.number for amount in self.acquires}
        left = {pool: number - self.releases.get(pool, 0) for pool, number in takes.items()}
        return {pool: number for pool, number in left.items() if number > 0}

    @property
    def gives_back(self) -> Mapping[str, int]:
        """How much of which pool it gives back that others have kept."""
        left = {pool: number - self.of(pool) for pool, number in self.releases.items()}
        return {pool: number for pool, number in left.items() if number > 0}

    def of(self, pool: str) -> int:
        """Return how much it takes of a pool."""
        return sum(amount.number for amount in self.acquires if amount.pool.name == pool)


def wanted(
    acquires: Iterable[Any] | None,
    releases: Iterable[Any] | None,
    around: Sequence[Wanted],
    of: str,
) -> Wanted:
    """Return what a step takes and gives back.

    :param around: what the steps take that it is in, and hold while it runs.
    :raises WorkflowDefinitionError: for what cannot be meant, and what cannot ever be had.
    """
    pools: dict[str, ResourcePool] = {}
    takes = _amounts(acquires or (), "acquires", pools, of)
    for amount in takes:
        _check_limit(amount, sum(each.of(amount.pool.name) for each in around), of)
    given = takes if releases is None else _amounts(releases, "releases", pools, of)
    return Wanted(takes, {amount.pool.name: amount.number for amount in given}, pools)


def check_same(known: ResourcePool, where: str, pool: ResourcePool, of: str) -> None:
    """Refuse a pool of another limit than one of its name that a flow has already.

    :param where: who has that one, and ``of`` who has the other, for the message.
    """
    if pool.limit != known.limit:
        raise WorkflowDefinitionError(
            f"pool {pool.name!r} has {_limit_of(known)} in {where} and {_limit_of(pool)} in {of}; "
            "give both the same ResourcePool, or each of them a name of its own"
        )


def _limit_of(pool: ResourcePool) -> str:
    return "no limit" if pool.limit is None else f"a limit of {pool.limit}"


def _check_limit(amount: Amount, held: int, of: str) -> None:
    limit, pool = amount.pool.limit, amount.pool.name
    if limit is None or amount.number + held <= limit:
        return
    if held:
        raise WorkflowDefinitionError(
            f"{of} acquires {amount.number} of pool {pool!r}, of which the steps that it is in "
            f"hold {held} meanwhile; there are {limit}"
        )
    raise WorkflowDefinitionError(
        f"{of} acquires {amount.number} of pool {pool!r}, of which there are {limit}"
    )


def _amounts(
    found: Iterable[Any], what: str, pools: dict[str, ResourcePool], of: str
) -> tuple[Amount, ...]:
    """Return how much of which pool, and add the pools to those that are known by their names."""
    if isinstance(found, str | bytes | ResourcePool) or not isinstance(found, Iterable):
        raise WorkflowDefinitionError(
            f"{of}: {what} is a list of tuples (pool, amount), not {found!r}"
        )
    numbers: dict[str, int] = {}
    for each in found:
        pool, number = _amount(each, what, of)
        check_same(pools.setdefault(pool.name, pool), of, pool, of)
        numbers[pool.name] = numbers.get(pool.name, 0) + number
    return tuple(Amount(pools[name], numbers[name]) for name in sorted(numbers))


def _amount(found: Any, what: str, of: str) -> tuple[ResourcePool, int]:
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise WorkflowDefinitionError(f"{of}: {what} has {found!r}, not a tuple (pool, amount)")
    pool, number = found
    if not isinstance(pool, ResourcePool):
        raise WorkflowDefinitionError(f"{of}: {what} has {pool!r}, which is no ResourcePool")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise WorkflowDefinitionError(
            f"{of}: {what} has {number!r} of pool {pool.name!r}; it is a whole number from 1 on"
        )
    return pool, number


@define(eq=False)
class Claim:
    """What one step wants or has.

    :param entry: of the step, which is let begin when it has everything.
    :param refuse: called with an error when it can never have that.
    :param name: of the step, with which round of it: ``s1_s11/1.2``.
    """

    wants: Wanted
    entry: Any
    refuse: Callable[[Exception], None]
    name: str = ""
    number: int = 0
    ticket: str = ""
    is_held: bool = False
    is_cancelled: bool = False
    is_watched: bool = False
    looks: int = 0

    @property
    def pools(self) -> list[str]:
        """The names of the pools that it takes from."""
        return [amount.pool.name for amount in self.wants.acquires]
