"""The shapes of the phantom: cells with nuclei and mitochondria in 3-D, and thin processes around them."""

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from cellab.data.lattice_noise import LatticeNoise
from cellab.errors import DataError

FAR = 1e3  # pixels: the distance to what is not there


@dataclass(frozen=True)
class Anatomy:
    """Sizes and numbers of what is in the volume; lengths in pixels of the largest scale.

    Args:
        coverage: share of the volume that cells fill; thrown in clear of each other, more than half never fits.
        cell_radius: smallest and largest mean radius of a cell.
        section_thickness: depth from one frame to the next.
        process_diameter: of the thin processes between the cells.
        mitochondria: of a cell of mean size.
        mitochondria_outside: a thousand square pixels of tissue between cells, a hundred pixels of depth.

    Raises:
        DataError: a number that no tissue has.
    """

    coverage: float = 0.36
    cell_radius: tuple[float, float] = (15.0, 30.0)
    section_thickness: float = 2.5
    process_diameter: float = 13.0
    mitochondria: int = 7
    mitochondria_outside: float = 0.35

    def __post_init__(self) -> None:
        check_range("coverage", self.coverage, 0, 0.5, above=True)
        if len(self.cell_radius) != 2 or not 4 <= self.cell_radius[0] <= self.cell_radius[1] <= 500:
            raise DataError(f"cell-radius {self.cell_radius}: give the smallest and the largest, from 4 to 500 pixels.")
        check_range("section-thickness", self.section_thickness, 0, 100, "pixels", above=True)
        check_range("process-diameter", self.process_diameter, 2, 500, "pixels")
        check_range("mitochondria", self.mitochondria, 0, 1000)
        check_range("mitochondria-outside", self.mitochondria_outside, 0, 100)


def check_range(name: str, value: float, lowest: float, highest: float, unit: str = "", *, above: bool = False) -> None:
    """Refuses a number out of range, NaN and infinity among them.

    Args:
        name: of the argument.
        value: found.
        lowest: allowed.
        highest: allowed.
        unit: of the value, for the message.
        above: whether the lowest is itself out of range.

    Raises:
        DataError: it is out of range.
    """
    if not lowest <= value <= highest or (above and value == lowest):
        span = f"more than {lowest}, at most {highest}" if above else f"from {lowest} to {highest}"
        raise DataError(f"{name} {value}: give {span}{unit and ' '}{unit}.")


@dataclass(frozen=True)
class Ellipsoids:
    """Ellipsoids in a volume, each owned by a cell (or by none: 0).

    Args:
        centres: (n, 3) z, y, x in pixels.
        shapes: (n, 3, 3) matrices that map an ellipsoid onto the unit ball.
        radii: (n,) mean radii in pixels.
        owners: (n,) ids.
    """

    centres: np.ndarray
    shapes: np.ndarray
    radii: np.ndarray
    owners: np.ndarray

    def distances(self, z: float, size: int, bend: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where a section lies with respect to the nearest ellipsoid.

        Args:
            z: depth in pixels.
            size: height and width of the section.
            bend: (size, size) pixels by which surfaces are pushed inwards.

        Returns:
            Three (size, size) arrays: float32 distance to the nearest surface in pixels, negative inside; float32
            distance to the second nearest; int32 number of the nearest, counted from 1, 0 where there is none near.
        """
        nearest = np.full((size, size), FAR, np.float32)
        second = nearest.copy()
        number = np.zeros((size, size), np.int32)
        reach = self.radii * 2.2
        for i in np.flatnonzero(np.abs(self.centres[:, 0] - z) < reach):
            rows, columns = (
                np.arange(max(0, int(c - reach[i])), max(0, min(size, int(c + reach[i]) + 1)))
                for c in self.centres[i, 1:]
            )
            window = np.ix_(rows, columns)
            offsets = np.stack(
                np.broadcast_arrays(
                    z - self.centres[i, 0],
                    rows[:, None] - self.centres[i, 1],
                    columns[None] - self.centres[i, 2],
                )
            ).astype(np.float32)
            unit = np.einsum("ij,jrc->irc", self.shapes[i].astype(np.float32), offsets)
            distance = (np.sqrt((unit**2).sum(0)) - 1) * np.float32(self.radii[i]) + bend[window]
            closer = distance < nearest[window]
            second[window] = np.where(closer, nearest[window], np.minimum(second[window], distance))
            nearest[window] = np.where(closer, distance, nearest[window])
            number[window] = np.where(closer, i + 1, number[window])
        return nearest, second, number


def random_rotations(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 3, 3) rotations, uniform."""
    q, r = np.linalg.qr(rng.standard_normal((count, 3, 3)))
    rotations: np.ndarray = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return rotations


def _shapes(rng: np.random.Generator, half_axes: np.ndarray) -> np.ndarray:
    """(n, 3, 3) matrices that map ellipsoids of these half axes, (n, 3), randomly turned, onto the unit ball."""
    shapes: np.ndarray = random_rotations(rng, len(half_axes)) / half_axes[:, :, None]
    return shapes


def place_cells(rng: np.random.Generator, anatomy: Anatomy, depth: float, size: int) -> Ellipsoids:
    """Throws cells into the volume, clear of each other, until they fill their share of it.

    Cells may be cut by the volume's faces.
    """
    smallest, largest = anatomy.cell_radius
    margin = largest * 0.6
    extent = np.array([depth, size, size]) + 2 * margin
    wanted = anatomy.coverage * extent.prod()
    centres, radii = np.empty((0, 3)), np.empty(0)
    filled, misses = 0.0, 0
    while filled < wanted and misses < 3000:
        radius = rng.uniform(smallest, largest) if misses < 300 else smallest
        centre = rng.random(3) * extent - margin
        clear = np.linalg.norm(centres - centre, axis=1) > 0.98 * (radii + radius)
        if not clear.all():
            misses += 1
            continue
        centres, radii = np.vstack([centres, centre]), np.append(radii, radius)
        filled += 4 / 3 * np.pi * radius**3
        misses = 0
    stretch = np.exp(rng.normal(0, 0.16, (len(radii), 3)))
    half_axes = radii[:, None] * stretch / stretch.prod(1, keepdims=True) ** (1 / 3)
    return Ellipsoids(centres, _shapes(rng, half_axes), radii, np.arange(1, len(radii) + 1))


def place_nuclei(rng: np.random.Generator, cells: Ellipsoids) -> Ellipsoids:
    """One nucleus a cell, a little off its centre."""
    radii = cells.radii * rng.uniform(0.5, 0.64, len(cells.radii))
    offsets = rng.uniform(-0.14, 0.14, cells.centres.shape) * cells.radii[:, None]
    half_axes = radii[:, None] * rng.uniform(0.85, 1.15, cells.centres.shape)
    return Ellipsoids(cells.centres + offsets, _shapes(rng, half_axes), radii, cells.owners)


def place_mitochondria(
    rng: np.random.Generator, anatomy: Anatomy, cells: Ellipsoids, depth: float, size: int
) -> Ellipsoids:
    """Mitochondria between nucleus and membrane of the cells, and some in the tissue between (owner 0)."""
    centres, owners = [], []
    for centre, shape, radius, owner in zip(cells.centres, cells.shapes, cells.radii, cells.owners, strict=True):
        count = rng.poisson(anatomy.mitochondria * (radius / np.mean(anatomy.cell_radius)) ** 2)
        directions = rng.standard_normal((count, 3))
        directions *= rng.uniform(0.7, 0.84, (count, 1)) / np.linalg.norm(directions, axis=1, keepdims=True)
        centres.append(centre + directions @ np.linalg.inv(shape).T)
        owners += [owner] * count
    outside = rng.poisson(anatomy.mitochondria_outside * depth / 100 * size**2 / 1000)
    centres.append(rng.random((outside, 3)) * (depth, size, size))
    owners += [0] * outside
    count = len(owners)
    thickness = rng.uniform(3.6, 5.6, count)
    half_axes = np.stack([thickness * rng.uniform(1.2, 2.6, count), thickness, thickness * 0.9], axis=1)
    longest = half_axes.max(1)
    return Ellipsoids(np.concatenate(centres), _shapes(rng, half_axes), longest, np.array(owners))


@dataclass
class Processes:
    """Thin processes that run through the volume: a Voronoi diagram whose seeds drift from section to section.

    Args:
        rng: random numbers.
        anatomy: of the volume.
        depth: of the volume, pixels.
        size: height and width, pixels.
    """

    rng: np.random.Generator
    anatomy: Anatomy
    depth: float
    size: int
    seeds: np.ndarray = field(init=False)
    slopes: np.ndarray = field(init=False)
    brightness: np.ndarray = field(init=False)
    is_dark: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        count = int(((self.size + 2 * self._margin) / self.anatomy.process_diameter) ** 2)
        density = LatticeNoise(self.rng, 1, self.size + 2 * self._margin, 48).section(0)
        candidates = self.rng.random((count * 6, 2)) * (self.size + 2 * self._margin)
        odds = np.exp(0.9 * density[tuple(candidates.astype(int).T)])
        chosen = self.rng.choice(len(candidates), count, replace=False, p=odds / odds.sum())
        self.seeds = _evened_out(candidates[chosen], candidates, odds) - self._margin
        self.slopes = self.rng.normal(0, 0.18, (count, 2))
        self.brightness = self.rng.normal(0, 1, count).astype(np.float32)
        self.is_dark = self.rng.random(count) < 0.07
        self._warp = [LatticeNoise(self.rng, self.depth, self.size, (40, 22, 22)) for _ in range(2)]
        self._fine_warp = [LatticeNoise(self.rng, self.depth, self.size, (20, 7, 7)) for _ in range(2)]

    @property
    def _margin(self) -> int:
        return int(2 * self.anatomy.process_diameter)

    def section(self, z: float) -> tuple[np.ndarray, np.ndarray]:
        """The processes of a section.

        Args:
            z: depth in pixels.

        Returns:
            (size, size) float32 distance to the nearest boundary between two processes in pixels, and (size, size)
            int64 number of the process.
        """
        warp = [5 * c.section(z) + 1.6 * f.section(z) for c, f in zip(self._warp, self._fine_warp, strict=True)]
        grid = np.indices((self.size, self.size), dtype=np.float32)
        points = np.stack([axis + bend for axis, bend in zip(grid, warp, strict=True)], axis=-1)
        extent = self.size + 2 * self._margin
        drifted = self.seeds + self.slopes * (z - self.depth / 2)
        seeds = ((drifted + self._margin) % extent - self._margin).astype(np.float32)
        distances, numbers = (np.asarray(found) for found in cKDTree(seeds).query(points, k=2))
        first, second = seeds[numbers[..., 0]], seeds[numbers[..., 1]]
        between = np.maximum(np.linalg.norm(first - second, axis=-1), 1e-6)
        boundary = (distances[..., 1] ** 2 - distances[..., 0] ** 2) / (2 * between)
        return boundary.astype(np.float32), numbers[..., 0]


def _evened_out(seeds: np.ndarray, points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Moves seeds to the weighted means of the points nearest to them, twice (Lloyd): fewer slivers between them."""
    for _ in range(2):
        _, nearest = cKDTree(seeds).query(points)
        mass = np.bincount(nearest, weights, len(seeds))
        sums = np.stack([np.bincount(nearest, weights * axis, len(seeds)) for axis in points.T], axis=1)
        seeds = np.where(mass[:, None] > 0, sums / np.maximum(mass, 1e-12)[:, None], seeds)
    return seeds
