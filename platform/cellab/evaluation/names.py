"""Names of the metrics and of what they are taken of, for who only reads them: nothing is computed here."""

METRIC_NAMES = ("dice", "jaccard", "precision", "recall")
PU_SCORE = "pu_score"  # of given masks alone: it orders as precision times recall against the truth would
RANKING_NAMES = (*METRIC_NAMES, PU_SCORE)
HIDDEN_RECALL = "hidden_recall"  # recall on the objects that given masks hide
SPLITS = ("train", "validation", "test")
