"""Names of the sources of crops, and what is counted of them, for those too who only read: nothing is computed."""

from dataclasses import dataclass, fields

LABELLED, PSEUDO, GENERATED = "labelled", "pseudo", "generated"  # as the data mix calls the sources of crops

BY_PROMINENCE, BY_ENTROPY, AS_EMPTY = "rejected_by_prominence", "rejected_by_entropy", "rejected_as_empty"
ACCEPTED = "accepted"
FATES = (BY_PROMINENCE, BY_ENTROPY, AS_EMPTY, ACCEPTED)  # of each crop that is tried, one


@dataclass
class Counters:
    """Of the crops of one source, each of which has one of `FATES`.

    Args:
        tried: crops, whatever became of them.
        rejected_by_prominence: those with too little of a mask.
        rejected_by_entropy: those that the gate did not let pass.
        rejected_as_empty: those with too little of a pseudo-label.
        accepted: the others.
        refreshes: pairs that were made while the member trained.
        gave_up: how often none was found in as many tries as were allowed, or too few altogether to go on.
    """

    tried: int = 0
    rejected_by_prominence: int = 0
    rejected_by_entropy: int = 0
    rejected_as_empty: int = 0
    accepted: int = 0
    refreshes: int = 0
    gave_up: int = 0


COUNTERS = tuple(field.name for field in fields(Counters))
