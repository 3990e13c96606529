"""Each member labels the crops that it learns from."""


class Crops:
    """The parents label augmented crops while a member is trained, for this member alone, which keeps some of them.

    Reference: Hann, section 4.2.
    """

    parts = 0
    generated = 0
    tries = 0
    least_yield = 0.0
