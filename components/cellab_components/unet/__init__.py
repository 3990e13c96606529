"""Segmentation networks: from an image to one logit a pixel, each in the module that bears its name."""
