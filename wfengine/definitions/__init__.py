"""Definitions by name, what tells one version of a definition from another, and what changed."""

from wfengine.definitions.checking import check
from wfengine.definitions.loading import load
from wfengine.definitions.matching import Comparison, Match, compare
from wfengine.definitions.outline import OutlineNode, Source, outline
from wfengine.definitions.problems import Problem
from wfengine.definitions.registry import Registry
from wfengine.definitions.skeletons import fingerprint, skeleton

__all__ = [
    "Comparison",
    "Match",
    "OutlineNode",
    "Problem",
    "Registry",
    "Source",
    "check",
    "compare",
    "find",
    "fingerprint",
    "load",
    "outline",
    "register",
    "registry",
    "skeleton",
    "workflow",
]

registry = Registry()
register = registry.add
workflow = registry.workflow
find = registry.find
