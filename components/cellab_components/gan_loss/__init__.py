"""Adversarial losses: what the discriminator and the generator minimise, composed with a regulariser and an optimiser.

The presets of `config/gan_loss` differ in nothing but the parts that they name. Any loss goes with any regulariser.
"""
