"""Recombination: what becomes of the given mask once there is a pseudo-label."""
