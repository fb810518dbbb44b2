"""The two property helpers."""

import pytest

from wfengine.utils import classproperty, staticproperty


class Base:
    @staticproperty
    def answer():
        """What it is."""
        return 42

    @classproperty
    def label(cls):  # noqa: N805 - receives the class
        """How it is called."""
        return cls.__name__.lower()


class Derived(Base):
    pass


@pytest.mark.parametrize("holder", [Base, Base(), Derived, Derived()])
def test_a_static_property_is_read_from_class_and_instance(holder):
    assert holder.answer == 42


def test_a_class_property_knows_the_class_it_is_read_from():
    assert (Base.label, Base().label) == ("base", "base")
    assert (Derived.label, Derived().label) == ("derived", "derived")


def test_both_keep_the_docstring():
    assert vars(Base)["answer"].__doc__ == "What it is."
    assert vars(Base)["label"].__doc__ == "How it is called."


def test_a_getter_that_fails_is_not_hidden():
    class Failing:
        @classproperty
        def broken(cls):  # noqa: N805
            raise LookupError("no such label")

    with pytest.raises(LookupError, match="no such label"):
        _ = Failing.broken
