"""The exception tree: who is to blame.

RingriftError
    RulesError        the caller asked for what the rules or the action table do not allow
    StorageError      a file is missing, damaged or of another format
    TrainingError     a training run cannot go on, though its files are sound
    InvariantError    something that cannot happen did; the fault is ours
"""


class RingriftError(Exception):
    """Something went wrong that a person should read about."""


class RulesError(RingriftError):
    """Against the rules, or not a position of the game at all."""


class StorageError(RingriftError):
    """A file is missing, damaged or of another format."""


class TrainingError(RingriftError):
    """A training run cannot go on, though its files are sound."""


class InvariantError(RingriftError):
    """Something that cannot happen did; the fault is ours."""
