"""Names of what is counted while pseudo-labels are made, for who only reads them: nothing is computed here."""

BY_PROMINENCE, BY_ENTROPY, AS_EMPTY = "rejected_by_prominence", "rejected_by_entropy", "rejected_as_empty"
ACCEPTED = "accepted"
FATES = (BY_PROMINENCE, BY_ENTROPY, AS_EMPTY, ACCEPTED)  # of each crop that is tried, one
COUNTERS = ("tried", *FATES, "refreshes", "gave_up")
