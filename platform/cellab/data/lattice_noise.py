"""Smooth random fields in a volume: random numbers on a coarse lattice, interpolated by cubic B-splines."""

import numpy as np
from scipy import sparse


def _spline_weights(positions: np.ndarray, nodes: int) -> sparse.csr_array:
    """(len(positions), nodes) float32 weights of a uniform cubic B-spline; positions in lattice units from 0."""
    distance = np.abs(positions[:, None] + 1 - np.arange(nodes)[None])
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = (2 - distance) ** 3 / 6
    return sparse.csr_array(np.where(distance < 1, near, np.where(distance < 2, far, 0)).astype(np.float32))


class LatticeNoise:
    """A smooth random field of zero mean and unit standard deviation, evaluated section by section.

    Args:
        rng: random numbers of the lattice.
        depth: of the volume, pixels.
        size: height and width of the volume, pixels.
        wavelength: spacing of the lattice, pixels: about the size of a blotch. One number, or of (z, y, x).
    """

    def __init__(
        self, rng: np.random.Generator, depth: float, size: int, wavelength: float | tuple[float, float, float]
    ) -> None:
        self.wavelengths = wavelength if isinstance(wavelength, tuple) else (wavelength,) * 3
        nodes = [int(extent / each) + 4 for extent, each in zip((depth, size, size), self.wavelengths, strict=True)]
        self._lattice = rng.standard_normal(nodes, dtype=np.float32)
        self._rows, self._columns = (
            _spline_weights(np.arange(size) / each, n) for each, n in zip(self.wavelengths[1:], nodes[1:], strict=True)
        )
        spread = 0.479  # the mean sum of squared weights of a cubic B-spline along one axis
        self._lattice /= np.float32(spread**1.5)

    def section(self, z: float) -> np.ndarray:
        """The field at a depth in pixels, (size, size) float32."""
        node = int(z / self.wavelengths[0])
        weights = _spline_weights(np.array([z / self.wavelengths[0] - node]), 4).toarray()[0]
        plane = sum(weight * self._lattice[node + i] for i, weight in enumerate(weights))
        section: np.ndarray = (self._columns @ (self._rows @ plane).T).T
        return section
