"""The parents label whole frames, once for all members."""

from cellab_components.checks import at_least, between


class Frames:
    """The parents label every training frame once a generation, by tiles, and a pool of generated images.

    Members cut augmented crops out of frame, given mask and probability together, so that labels are made on clean
    views and learned on augmented ones, and every crop is a new one. The prominence of a crop and its entropy, which
    the gate looks at, are read from summed areas: a refused crop costs nothing.

    Reference:
        ours. Labels of whole frames, made once a round, are usual in self-training, e.g. Xie et al., *Self-training
        with Noisy Student improves ImageNet classification*, https://arxiv.org/abs/1911.04252.

    Args:
        parts: stages among which the frames are divided, so that several can work at them.
        generated: accepted generated images that the pool is to hold.
        tries: generated images that are labelled for it at most.
        least_yield: share of them that must be accepted; where it is less, once as many as the pool is to hold have
            been tried, the rest is given up.

    Raises:
        ValueError: a number below 1, or `least_yield` is not in [0, 1].
    """

    def __init__(self, parts: int, generated: int, tries: int, least_yield: float) -> None:
        self.parts = at_least("parts", parts, 1)
        self.generated = at_least("generated", generated, 1)
        self.tries = at_least("tries", tries, 1)
        self.least_yield = between("least_yield", least_yield, 0, 1)
