"""Names of the metrics and of what they are taken of, for who only reads them: nothing is computed here."""

METRIC_NAMES = ("dice", "jaccard", "precision", "recall")
HIDDEN_RECALL = "hidden_recall"  # recall on the objects that given masks hide
SPLITS = ("train", "validation", "test")
