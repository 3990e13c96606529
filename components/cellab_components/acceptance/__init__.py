"""Acceptance: which pseudo-labels are sure enough to learn from."""
