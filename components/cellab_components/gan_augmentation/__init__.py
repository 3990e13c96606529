"""Augmentations of what discriminators see: the same for real and generated images, and differentiable.

All random numbers are drawn on the CPU from the generator that is passed, so that every device sees the same ones.
"""
