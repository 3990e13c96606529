"""Segmentation losses: how far a member's logits are from a mask that may be wrong, soft, or partly unknown."""
