"""A small workflow for the console; it asks about large numbers."""

from wfengine.patterns import HALT, IF


def is_incredible(obj, eng):
    return obj["count"] > 1000


def take_decision(obj, eng):
    obj["decision"] = eng.decision


workflow = [
    IF(
        is_incredible,
        [
            HALT(
                lambda obj, eng: f"{obj['count']} {obj['bird']}s?",
                action="confirm",
                payload={"choices": ["keep", "drop"]},
            ),
            take_decision,
        ],
    )
]
