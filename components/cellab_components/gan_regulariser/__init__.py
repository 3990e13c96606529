"""Regularisers of discriminators: penalties on their gradients and constraints on their weights.

`interval` says at which steps of a discriminator the penalty is due: every `interval`-th. Whoever trains calls it then,
and multiplies it by `interval`; here it is neither counted nor scaled.
"""
