"""How many discriminators there may be."""

MOST = 100  # discriminators
