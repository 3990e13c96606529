"""Voting: how the parents of a generation agree on a pseudo-label."""
