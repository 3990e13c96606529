"""Augmentations: random maps that a crop is drawn through, and random changes of its appearance.

All random numbers are drawn on the CPU from the generator that is passed, so that every device sees the same ones.
"""
