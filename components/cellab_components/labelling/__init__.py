"""Labellings: whether members label crops for themselves, or learn what was labelled once for all of them."""
