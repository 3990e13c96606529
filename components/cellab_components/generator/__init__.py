"""Generators of images: from a vector of noise to a grey image."""
