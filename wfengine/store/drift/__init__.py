"""Runs whose definition has changed since they were begun: where their positions are now.

The positions of all tokens of a run belong to one definition, whose fingerprint is in the run's
row. So they are mapped together, in one transaction, or not at all; and with them those in the
branches that the tokens wait for, and what the patterns around each position remember.
"""

from wfengine.store.drift.findings import Move, Refusal
from wfengine.store.drift.mapping import Drift, drift_of, map_branch

__all__ = ["Drift", "Move", "Refusal", "drift_of", "map_branch"]
