"""The names of the metrics, in the order of tables and of breaking ties."""

METRIC_NAMES = ("dice", "jaccard", "precision", "recall")
