"""Ensembles of discriminators: how one generator answers to several of them."""
