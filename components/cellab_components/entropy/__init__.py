"""Entropies: how unsure the parents are of a crop."""
