"""Tiled prediction: seamless, complete, of any frame size."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cellab.evaluation.tiling import predict, smooth_window, starts
from cellab.requests import Tiles

CPU = torch.device("cpu")


def identity(images):
    """One voter, who says what it sees, and one who says the opposite."""
    assert images.shape[1:] == (1, 16, 16)
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    return torch.stack([images, 1 - images])


@pytest.mark.parametrize("shape", [(16, 16), (5, 9), (40, 16), (37, 61), (1, 30)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5])
def test_a_pointwise_network_is_reproduced(shape, overlap):
    frame = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = predict(identity, frame, Tiles(16, overlap, 3), CPU)
    np.testing.assert_allclose(found, [frame / 255, 1 - frame / 255], atol=1e-6)


def test_no_seams():
    """A network that knows only where a pixel lies in its tile must not show in the blend as steps."""
    ramp = torch.linspace(0, 1, 16).expand(16, 16)

    def positional(images):
        return ramp.expand_as(images[:, 0])[None, :, None]

    frame = np.zeros((16, 128), np.uint8)
    (blended,) = predict(positional, frame, Tiles(16, 0.5, 8), CPU)
    (hard,) = predict(positional, frame, Tiles(16, 0.0, 8), CPU)
    assert np.abs(np.diff(hard, axis=1)).max() > 0.5
    assert np.abs(np.diff(blended, axis=1)).max() < 0.2


@settings(max_examples=200)
@given(st.integers(1, 300), st.integers(2, 64), st.floats(0, 0.9))
def test_tiles_cover_everything_with_the_overlap_asked_for(length, tile, overlap):
    places = starts(length, tile, overlap)
    assert places[0] == 0
    if length <= tile:
        assert places == [0]
        return
    assert places[-1] == length - tile
    steps = np.diff(places)
    assert (steps > 0).all()
    assert (steps <= max(1, int(tile * (1 - overlap))) + 1).all()


def test_the_window_is_positive_and_falls_towards_the_border():
    window = smooth_window(8)
    assert (window > 0).all()
    assert window[4, 4] > window[2, 4] > window[0, 4]
    np.testing.assert_allclose(window, window[::-1, ::-1])
