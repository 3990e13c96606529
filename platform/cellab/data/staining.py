"""The looks of the phantom: grey values of membranes, cytoplasm, organelles and tissue, then optics and noise."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from cellab.data.lattice_noise import LatticeNoise
from cellab.data.phantom import (
    FAR,
    Anatomy,
    Ellipsoids,
    Processes,
    check_range,
    place_cells,
    place_mitochondria,
    place_nuclei,
)


@dataclass(frozen=True)
class Optics:
    """What the microscope does to a section.

    Args:
        blur: standard deviation of the point spread, pixels.
        noise: standard deviation of the detector's noise, grey values.
        drift: standard deviation of brightness and, in per cent, of contrast from section to section.

    Raises:
        DataError: a number that no microscope has.
    """

    blur: float = 0.65
    noise: float = 13.0
    drift: float = 4.0

    def __post_init__(self) -> None:
        check_range("blur", self.blur, 0, 50, "pixels")
        check_range("noise", self.noise, 0, 255, "grey values")
        check_range("drift", self.drift, 0, 100, "grey values")


@dataclass(frozen=True)
class Greys:
    """Grey values, 0 black to 255 white."""

    membrane: float = 38.0
    process: float = 172.0
    dark_process: float = 112.0
    cytoplasm: float = 138.0
    nucleus: float = 156.0
    chromatin: float = 92.0
    mitochondrion: float = 84.0


def _soft(distance: np.ndarray, width: float) -> np.ndarray:
    """1 where the distance is far below 0, 0 where it is far above, over about a width in pixels."""
    opacity: np.ndarray = np.clip(0.5 - distance / width, 0, 1)
    return opacity


def _blend(image: np.ndarray, grey: np.ndarray | float, opacity: np.ndarray) -> np.ndarray:
    blended: np.ndarray = image + (grey - image) * opacity
    return blended


def _in_plane(distance: np.ndarray) -> np.ndarray:
    """Distance to a surface within the section, from the distance in 3-D: a surface cut obliquely is no thick line."""
    slope = np.hypot(*np.gradient(np.clip(distance, -30, 30)))
    in_plane: np.ndarray = np.abs(distance) / np.clip(slope, 0.3, None)
    return in_plane


class Tissue:
    """A volume of tissue that can be cut into sections.

    Args:
        seed: of the shapes, the textures and the noise.
        n_frames: how many sections.
        size: height and width of a section, pixels.
        anatomy: what is in it.
        optics: how it is seen.
        greys: how it is stained.
    """

    def __init__(
        self,
        seed: int,
        n_frames: int,
        size: int,
        anatomy: Anatomy | None = None,
        optics: Optics | None = None,
        greys: Greys | None = None,
    ) -> None:
        self.seed, self.n_frames, self.size = seed, n_frames, size
        self.anatomy, self.optics, self.greys = anatomy or Anatomy(), optics or Optics(), greys or Greys()
        rng = np.random.default_rng([seed, 0])
        depth = n_frames * self.anatomy.section_thickness
        self.cells: Ellipsoids = place_cells(rng, self.anatomy, depth, size)
        self.nuclei = place_nuclei(rng, self.cells)
        self.mitochondria = place_mitochondria(rng, self.anatomy, self.cells, depth, size)
        self.processes = Processes(rng, self.anatomy, depth, size)
        self.tone = rng.normal(0, 7, len(self.cells.owners) + 1).astype(np.float32)
        wavelengths: dict[str, float | tuple[float, float, float]] = {
            "bend": 13,
            "fine_bend": 5,
            "blotches": 9,
            "clumps": 5,
            "strands": 8,
            "shade": 120,
            "stain": 30,
            "dots": (4, 2.2, 2.2),
        }
        self._fields = {name: LatticeNoise(rng, depth, size, each) for name, each in wavelengths.items()}

    def section(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Cuts a section.

        Args:
            index: 0 to `n_frames` - 1.

        Returns:
            (size, size) uint8 frame, and (size, size) int32 ids of the cells, membranes included; 0 between them.
        """
        z = self._depth(index)
        rng = np.random.default_rng([self.seed, 1, index])
        noise = {name: each.section(z) for name, each in self._fields.items()}
        distance, second, number = self._cells_at(z)
        ids = np.where(distance < 0, number, 0)
        image = self._between_cells(z, noise)
        nucleus = self._nuclei_at(z, number, noise)
        inside = self._within_cells(distance, number, nucleus, noise)
        image = _blend(image, inside, _soft(distance, 1.5))
        image = self._mitochondria(z, image, ids, np.minimum(np.abs(distance), nucleus), noise)
        image = _blend(image, self.greys.membrane, self._cell_membrane(distance, second, noise))
        return self._seen(image, noise, rng), ids

    def ids(self, index: int) -> np.ndarray:
        """The cells of a section alone, as `section` gives them."""
        distance, _, number = self._cells_at(self._depth(index))
        return np.where(distance < 0, number, 0)

    def _depth(self, index: int) -> float:
        return (index + 0.5) * self.anatomy.section_thickness

    def _cells_at(self, z: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances to the cells' surfaces, which are bent; see `Ellipsoids.distances`."""
        bend = 2.2 * self._fields["bend"].section(z) + 0.7 * self._fields["fine_bend"].section(z)
        return self.cells.distances(z, self.size, bend)

    def _between_cells(self, z: float, noise: dict[str, np.ndarray]) -> np.ndarray:
        """Thin processes with their membranes, vesicles and uneven plasm."""
        boundary, process = self.processes.section(z)
        plain = np.where(self.processes.is_dark, self.greys.dark_process, self.greys.process)
        image = (plain + 10 * self.processes.brightness).astype(np.float32)[process] + 8 * noise["blotches"]
        vesicles = np.clip((noise["dots"] - 1.0) * 1.5, 0, 1)
        image = _blend(image, self.greys.membrane + 40, 0.75 * vesicles * (boundary > 2.2))
        width = np.clip(1.5 + 0.35 * noise["stain"], 1.2, 2.4)
        return _blend(image, self.greys.membrane + 8, 0.95 * np.clip(width - boundary, 0, 1))

    def _nuclei_at(self, z: float, number: np.ndarray, noise: dict[str, np.ndarray]) -> np.ndarray:
        """Distance to the surface of each cell's own nucleus in pixels, negative within; far where there is none."""
        depth, _, nucleus = self.nuclei.distances(z, self.size, 0.7 * noise["bend"])
        return np.where(nucleus == number, depth, FAR)

    def _within_cells(
        self, distance: np.ndarray, number: np.ndarray, nucleus: np.ndarray, noise: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Granular cytoplasm with strands of reticulum, and the nucleus with its chromatin and envelope."""
        greys = self.greys
        granules = np.clip(noise["dots"] - 0.5, 0, 1.5)
        image = greys.cytoplasm + self.tone[number] + 7 * noise["blotches"] - 50 * granules
        strands = np.clip(1.3 - np.abs(noise["strands"]) / 0.14, 0, 1) * (noise["blotches"] > 0)
        image = _blend(image, greys.membrane + 28, 0.8 * strands * (distance < -4))
        rim = np.exp(np.minimum(nucleus, 0) / 2.5)
        clumps = np.clip(1.8 * (noise["clumps"] + 1.2 * rim - 0.8), 0, 1)
        plasm = greys.nucleus + 6 * noise["blotches"] - 26 * np.clip(noise["dots"], 0, 1.5)
        plasm = _blend(plasm, greys.chromatin, 0.9 * clumps)
        image = _blend(image, plasm, _soft(nucleus, 1.5))
        return _blend(image, greys.membrane + 22, 0.85 * np.clip(1.5 - _in_plane(nucleus), 0, 1))

    def _mitochondria(
        self, z: float, image: np.ndarray, ids: np.ndarray, room: np.ndarray, noise: dict[str, np.ndarray]
    ) -> np.ndarray:
        """Dark bodies with a darker rim and bright folds across them, where there is room for them (pixels)."""
        depth, _, which = self.mitochondria.distances(z, self.size, 0.6 * noise["bend"])
        owner = np.append(0, self.mitochondria.owners)[which]
        depth = np.where((owner == ids) & (room > 2.5), depth, FAR)
        axes = np.concatenate([np.zeros((1, 3, 3)), self.mitochondria.shapes])[which]
        centres = np.concatenate([np.zeros((1, 3)), self.mitochondria.centres])[which]
        rows, columns = np.indices(ids.shape)
        along = axes[..., 0, 0] * (z - centres[..., 0])
        along = along + axes[..., 0, 1] * (rows - centres[..., 1]) + axes[..., 0, 2] * (columns - centres[..., 2])
        folds = np.clip(1.5 * np.sin(along * 14 + 1.2 * noise["bend"]), 0, 1)
        body = self.greys.mitochondrion + 60 * folds * (depth < -1.4) + 6 * noise["dots"]
        image = _blend(image, body, _soft(depth, 1.2))
        return _blend(image, self.greys.membrane, 0.9 * np.clip(1.3 - _in_plane(depth), 0, 1))

    def _cell_membrane(self, distance: np.ndarray, second: np.ndarray, noise: dict[str, np.ndarray]) -> np.ndarray:
        """Opacity of the cells' own membranes, twice where two cells touch."""
        touching = np.abs(second - distance) / 2
        edge = np.minimum(_in_plane(distance), np.where(distance < 1, touching, 20))
        opacity: np.ndarray = np.clip(1.8 + 0.4 * noise["stain"] - edge, 0, 1)
        return opacity

    def _seen(self, image: np.ndarray, noise: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
        """Uneven staining, drift of brightness and contrast, blur, noise and dirt."""
        optics = self.optics
        image = image + 6 * noise["shade"] + 4 * noise["stain"]
        image = ndimage.gaussian_filter(image, optics.blur, output=np.float32)
        contrast = 1 + rng.normal(0, optics.drift / 100)
        image = (image - 128) * contrast + 128 + rng.normal(0, optics.drift)
        grain = rng.standard_normal(image.shape, dtype=np.float32)
        coarse = ndimage.gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), 0.8) * 2.8
        image = image + optics.noise * (0.75 * grain + 0.65 * coarse)
        return np.clip(np.round(image), 0, 255).astype(np.uint8)
