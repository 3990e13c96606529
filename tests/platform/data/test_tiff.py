"""TIFF of many writers: what was drawn is what is read, page by page, whatever the file says of itself."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellab.data import tiff
from cellab.data.dataset import Dataset
from cellab.data.images import pages_of, read_image, read_mask
from cellab.data.importing import Import, import_folders
from cellab.data.stretching import Stretch
from cellab.errors import DataError

Write = Callable[[Path, np.ndarray], None]


def by_tifffile(**how: Any) -> Write:
    return lambda path, stack: tifffile.imwrite(path, stack, **how)


def page_by_page(**how: Any) -> Write:
    def write(path: Path, stack: np.ndarray) -> None:
        with tifffile.TiffWriter(path) as file:
            for page in stack:
                file.write(page, contiguous=False, **how)

    return write


def by_pillow(compression: str | None) -> Write:
    def write(path: Path, stack: np.ndarray) -> None:
        first, *others = (Image.fromarray(page) for page in stack)
        first.save(path, save_all=True, append_images=others, compression=compression)

    return write


def appended(path: Path, stack: np.ndarray) -> None:
    tifffile.imwrite(path, stack[:5])
    tifffile.imwrite(path, stack[5:], append=True)


def two_truncated_series(path: Path, stack: np.ndarray) -> None:
    with tifffile.TiffWriter(path) as file:
        file.write(stack[:5], truncate=True)
        file.write(stack[5:], truncate=True)


def pages_of_different_kinds(path: Path, stack: np.ndarray) -> None:
    """A page is not read as the one before it."""
    with tifffile.TiffWriter(path) as file:
        for index, page in enumerate(stack):
            how: dict[str, Any] = [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"rowsperstrip": 7}][index % 4]
            file.write(page, contiguous=False, metadata=None, **how)


def pyramid_of_subifds(**how: Any) -> Write:
    def write(path: Path, stack: np.ndarray) -> None:
        with tifffile.TiffWriter(path, **how) as file:
            file.write(stack, subifds=2, tile=(16, 16), metadata={"axes": "ZYX"})
            for step in (2, 4):
                file.write(stack[:, ::step, ::step], subfiletype=1, tile=(16, 16))

    return write


def pyramid_of_pages(path: Path, stack: np.ndarray) -> None:
    with tifffile.TiffWriter(path) as file:
        for page in stack:
            file.write(page, contiguous=False)
            file.write(page[::2, ::2], subfiletype=1)
            file.write(np.ones(page.shape, bool), subfiletype=4)


def single_entry(byteorder: str) -> Write:
    """As ImageJ writes stacks of more than 4 GB: one directory entry, the other planes after its own."""

    def write(path: Path, stack: np.ndarray) -> None:
        count, height, width = stack.shape
        description = f"ImageJ=1.54f\nimages={count}\nslices={count}\nloop=false\n".encode() + b"\0"
        kinds = {"u": 1, "i": 2, "f": 3}
        data = 8 + 2 + 12 * 11 + 4 + len(description)
        entries = [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, 8 * stack.itemsize),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (270, 2, len(description), data - len(description)),
            (273, 4, 1, data),
            (277, 3, 1, 1),
            (278, 4, 1, height),
            (279, 4, 1, stack[0].nbytes),
            (339, 3, 1, kinds[stack.dtype.kind]),
        ]
        content = {"<": b"II*\0", ">": b"MM\0*"}[byteorder] + struct.pack(byteorder + "IH", 8, len(entries))
        for tag, kind, length, value in entries:
            content += struct.pack(byteorder + "HHI", tag, kind, length)
            content += struct.pack(byteorder + ("HH" if kind == 3 else "I"), *((value, 0) if kind == 3 else (value,)))
        content += bytes(4) + description + stack.astype(stack.dtype.newbyteorder(byteorder)).tobytes()
        path.write_bytes(content)

    return write


ALL = ("u1", "u2", "i2", "u4", "f4", "f8")
IMAGEJ = ("u1", "u2", "f4")
WRITERS: dict[str, tuple[Write, tuple[str, ...]]] = {
    "tifffile": (by_tifffile(), ALL),
    "plain": (by_tifffile(metadata=None), ALL),
    "zlib": (by_tifffile(compression="zlib"), ALL),
    "zlib, predictor": (by_tifffile(compression="zlib", predictor=True), ALL),
    "lzw": (by_tifffile(compression="lzw"), ALL),
    "lzw, strips": (by_tifffile(compression="lzw", rowsperstrip=7), ALL),
    "zstd, tiles": (by_tifffile(compression="zstd", tile=(16, 32)), ALL),
    "packbits": (by_tifffile(compression="packbits"), ALL),
    "lossless JPEG 2000": (by_tifffile(compression="jpeg2000"), ("u1", "u2")),
    "strips": (by_tifffile(rowsperstrip=7), ALL),
    "tiles": (by_tifffile(tile=(16, 16)), ALL),
    "big-endian": (by_tifffile(byteorder=">"), ALL),
    "big-endian, lzw": (by_tifffile(byteorder=">", compression="lzw", predictor=True), ALL),
    "BigTIFF": (by_tifffile(bigtiff=True), ALL),
    "BigTIFF, big-endian, tiles": (by_tifffile(bigtiff=True, byteorder=">", tile=(16, 16)), ALL),
    "page by page": (page_by_page(), ALL),
    "page by page, zlib": (page_by_page(compression="zlib", metadata=None), ALL),
    "pages of different kinds": (pages_of_different_kinds, ALL),
    "appended": (appended, ALL),
    "truncated": (by_tifffile(truncate=True), ALL),
    "truncated, big-endian": (by_tifffile(truncate=True, byteorder=">"), ALL),
    "two truncated series": (two_truncated_series, ALL),
    "volume": (by_tifffile(volumetric=True), ALL),
    "volume, big-endian": (by_tifffile(volumetric=True, byteorder=">"), ALL),
    "volume, zlib": (by_tifffile(volumetric=True, compression="zlib"), ALL),
    "volume, tiles": (by_tifffile(volumetric=True, tile=(5, 16, 16), compression="zlib"), ALL),
    "OME": (by_tifffile(ome=True, metadata={"axes": "TYX"}), ALL),
    "OME, zlib": (by_tifffile(ome=True, metadata={"axes": "ZYX"}, compression="zlib"), ALL),
    "OME without axes": (by_tifffile(ome=True), ALL),
    "ImageJ": (by_tifffile(imagej=True, metadata={"axes": "ZYX"}), IMAGEJ),
    "ImageJ without axes": (by_tifffile(imagej=True), IMAGEJ),
    "ImageJ, one entry": (single_entry("<"), IMAGEJ),
    "ImageJ, one entry, big-endian": (single_entry(">"), IMAGEJ),
    "Pillow": (by_pillow(None), ("u1", "u2", "f4")),
    "Pillow, lzw": (by_pillow("tiff_lzw"), ("u1", "u2", "f4")),
    "Pillow, deflate": (by_pillow("tiff_adobe_deflate"), ("u1", "u2", "f4")),
    "pyramid": (pyramid_of_subifds(), ALL),
    "OME pyramid": (pyramid_of_subifds(ome=True), ALL),
    "pyramid of pages": (pyramid_of_pages, ALL),
}
TABLE = [(writer, kind) for writer, (_, kinds) in WRITERS.items() for kind in kinds]


def drawn(kind: str = "u1", pages: int = 12) -> np.ndarray:
    """(pages, 24, 40) of noise over the range of a type; the numbers of floats are whole, so that they may be ids."""
    rng = np.random.default_rng(3)
    if kind[0] == "f":
        return rng.integers(0, 1000, (pages, 24, 40)).astype(kind)
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, (pages, 24, 40), endpoint=True).astype(kind)


@pytest.mark.parametrize(("writer", "kind"), TABLE)
def test_pages_come_back(tmp_path: Path, writer: str, kind: str) -> None:
    stack = drawn(kind)
    WRITERS[writer][0](tmp_path / "s.tif", stack)
    pictures = pages_of(tmp_path / "s.tif")
    assert [picture.page for picture in pictures] == list(range(12))
    assert str(pictures[2]).endswith("s.tif (page 3)")
    assert pictures[2].key == "s:03"
    for index in (11, 0, 7, 6, 5, 1):  # in any order
        image, _ = read_image(pictures[index])
        np.testing.assert_array_equal(image, stack[index])
        assert image.dtype == np.dtype(kind)
        if kind != "i2":
            mask, _ = read_mask(pictures[index])
            np.testing.assert_array_equal(mask, stack[index])


@pytest.mark.parametrize("kind", ["u1", "u2"])
@pytest.mark.parametrize("writer", [writer for writer, (_, kinds) in WRITERS.items() if "u2" in kinds])
def test_what_was_drawn_is_in_the_data_set(tmp_path: Path, writer: str, kind: str) -> None:
    frames, ids = drawn(), drawn("u1")[:, ::-1]
    WRITERS[writer][0](tmp_path / "images.tif", frames if kind == "u1" else frames * np.uint16(257))
    WRITERS[writer][0](tmp_path / "masks.tif", ids.astype(kind))
    settings = Import(tmp_path / "images.tif", tmp_path / "masks.tif", scales=(1.0,), stretch=Stretch("none"))
    import_folders(tmp_path / "out.h5", settings)
    with Dataset.open(tmp_path / "out.h5") as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12)), ids)


@pytest.mark.parametrize("compression", ["raw", "group3", "group4", "tiff_lzw"])
def test_pages_of_one_bit(tmp_path: Path, compression: str) -> None:
    stack = drawn() > 127
    by_pillow(compression)(tmp_path / "s.tif", stack)
    for picture, page in zip(pages_of(tmp_path / "s.tif"), stack, strict=True):
        np.testing.assert_array_equal(read_image(picture)[0], page * 255)
        np.testing.assert_array_equal(read_mask(picture)[0], page)


@pytest.mark.parametrize("axes", ["TZYX", "ZTYX"])
@pytest.mark.parametrize("how", [{"imagej": True}, {"imagej": True, "truncate": True}, {"ome": True}, {}])
def test_frames_of_volumes_follow_one_another(tmp_path: Path, how: dict[str, Any], axes: str) -> None:
    axes = "TZYX" if "imagej" in how else axes  # ImageJ has one order
    stack = drawn()
    tifffile.imwrite(tmp_path / "s.tif", stack.reshape(6, 2, 24, 40), metadata={"axes": axes}, **how)
    pictures = pages_of(tmp_path / "s.tif")
    np.testing.assert_array_equal([read_image(picture)[0] for picture in pictures], stack)


@pytest.mark.parametrize("writer", ["pyramid", "OME pyramid", "pyramid of pages"])
def test_lower_resolutions_are_left_out_and_counted(tmp_path: Path, writer: str) -> None:
    WRITERS[writer][0](tmp_path / "s.tif", drawn())
    first, second, *_ = pages_of(tmp_path / "s.tif")
    assert read_image(first)[1] == ("24 pages of lower resolution or of transparency left out",)
    assert read_mask(first)[1] == ("24 pages of lower resolution or of transparency left out",)
    assert read_image(second)[1] == ()


def test_pages_that_are_all_said_to_be_of_lower_resolution(tmp_path: Path) -> None:
    page_by_page(subfiletype=1)(tmp_path / "s.tif", drawn())
    assert len(pages_of(tmp_path / "s.tif")) == 12


# OME sets of several files


def write_ome_set(folder: Path, stack: np.ndarray, axis: str) -> None:
    """Two files, each with the description of all: the halves of a stack, or its two channels."""
    size = {"Z": (12, 1), "C": (6, 2)}[axis]
    planes = ""
    for number in range(12):
        z, c = (number, 0) if axis == "Z" else (number % 6, number // 6)
        planes += f'<TiffData FirstC="{c}" FirstZ="{z}" FirstT="0" IFD="{number % 6}" PlaneCount="1">'
        planes += f'<UUID FileName="{number // 6}.ome.tif">urn:uuid:{number // 6}</UUID></TiffData>'
    for part in range(2):
        description = (
            '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:{part}"><Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" '
            f'SizeX="40" SizeY="24" SizeZ="{size[0]}" SizeC="{size[1]}" SizeT="1" BigEndian="false">'
            + '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>' * size[1]
            + planes
            + "</Pixels></Image></OME>"
        )
        with tifffile.TiffWriter(folder / f"{part}.ome.tif") as file:
            for index, page in enumerate(stack[6 * part :][:6]):
                file.write(page, contiguous=False, metadata=None, description=description if index == 0 else None)


@pytest.mark.parametrize("axis", ["Z", "C"])
def test_a_file_of_an_ome_set_gives_its_own_pages(tmp_path: Path, axis: str) -> None:
    stack = drawn()
    write_ome_set(tmp_path, stack, axis)
    for part in range(2):
        pictures = pages_of(tmp_path / f"{part}.ome.tif")
        np.testing.assert_array_equal([read_image(picture)[0] for picture in pictures], stack[6 * part :][:6])
    (tmp_path / "0.ome.tif").unlink()
    assert len(pages_of(tmp_path / "1.ome.tif")) == 6


# channels


@pytest.mark.parametrize(
    ("shape", "how"),
    [
        ((6, 2), {"imagej": True, "metadata": {"axes": "ZCYX"}}),
        ((6, 2), {"imagej": True, "truncate": True, "metadata": {"axes": "ZCYX"}}),
        ((6, 2), {"ome": True, "metadata": {"axes": "ZCYX"}}),
        ((2, 6), {"ome": True, "metadata": {"axes": "CTYX"}, "compression": "zlib"}),
        ((6, 2), {"metadata": {"axes": "TCYX"}}),
        ((2,), {"imagej": True}),
        ((4,), {"ome": True}),
        ((12,), {"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}}),
        ((3,), {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "RFP"]}}}),
        ((7,), {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": list("ABCDEFG")}}}),
    ],
)
def test_channels_are_no_frames(tmp_path: Path, shape: tuple[int, ...], how: dict[str, Any]) -> None:
    stack = drawn(pages=int(np.prod(shape)))
    axes = how.get("metadata", {}).get("axes", "CYX")
    tifffile.imwrite(tmp_path / "s.tif", stack.reshape(*shape, 24, 40), **how)
    with pytest.raises(DataError, match=rf"s\.tif holds {shape[axes.index('C')]} channels: save the one to import"):
        pages_of(tmp_path / "s.tif")


@pytest.mark.parametrize("how", [{"imagej": True}, {"ome": True}])
def test_many_channels_without_names_are_frames_and_it_is_said(tmp_path: Path, how: dict[str, Any]) -> None:
    tifffile.imwrite(tmp_path / "s.tif", drawn(), **how)
    first, *_ = pages_of(tmp_path / "s.tif")
    assert read_image(first)[1] == ("12 channels without names taken for frames",)


@pytest.mark.parametrize("how", [{"imagej": True}, {"ome": True}, {}, {"imagej": True, "truncate": True}])
def test_a_stack_in_colour_has_no_channels(tmp_path: Path, how: dict[str, Any]) -> None:
    stack = np.random.default_rng(0).integers(0, 256, (6, 24, 40, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "s.tif", stack, photometric="rgb", **how)
    grey = np.round(stack @ np.array([0.299, 0.587, 0.114]))
    np.testing.assert_array_equal([read_image(picture)[0] for picture in pages_of(tmp_path / "s.tif")], grey)


# damage


@pytest.mark.parametrize("writer", sorted(WRITERS))
def test_a_truncated_file_is_refused_or_whole(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "s.tif"
    WRITERS[writer][0](path, drawn())
    content = path.read_bytes()
    refused = []
    for share in (0.001, 0.07, 0.11, 0.4, 0.6, 0.95, 0.999):
        path.write_bytes(content[: int(len(content) * share)])
        try:
            read = [read_image(picture)[0] for picture in pages_of(path)]
        except DataError as error:
            refused.append(str(error))
        else:
            np.testing.assert_array_equal(read, drawn())
    assert len(refused) >= 4  # of a pyramid the end is not needed
    assert all("damaged" in said or "truncated" in said for said in refused)


def test_a_page_that_kept_the_description_of_its_stack(tmp_path: Path) -> None:
    page = drawn()[0]
    tifffile.imwrite(tmp_path / "s.tif", page, description="ImageJ=1.54f\nimages=12\nslices=12\n", metadata=None)
    (picture,) = pages_of(tmp_path / "s.tif")
    np.testing.assert_array_equal(read_image(picture)[0], page)


def test_a_compression_that_nobody_knows(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", drawn()[0])
    with tifffile.TiffFile(tmp_path / "s.tif", mode="r+") as file:
        file.pages.first.tags["Compression"].overwrite(60000)
    with pytest.raises(DataError, match=r"s\.tif is compressed in a way \(60000\) that cannot be read: use LZW or ZIP"):
        read_image(pages_of(tmp_path / "s.tif")[0])


# open files


def test_a_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    first, second = drawn()[:2]
    tifffile.imwrite(tmp_path / "s.tif", first)
    (picture,) = pages_of(tmp_path / "s.tif")
    read_image(picture)
    tifffile.imwrite(tmp_path / "new.tif", second)
    (tmp_path / "new.tif").replace(tmp_path / "s.tif")
    np.testing.assert_array_equal(read_image(picture)[0], second)


def test_few_files_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    monkeypatch.setattr(tiff.Stack, "close", lambda self, close=tiff.Stack.close: closed.append(self) or close(self))
    for index in range(10):
        tifffile.imwrite(tmp_path / f"{index}.tif", drawn()[0])
        read_image(*pages_of(tmp_path / f"{index}.tif"))
    assert len(closed) >= 10 - tiff.MOST_OPENED
    assert all(stack._file.filehandle.closed for stack in closed)


def test_the_last_page_takes_no_longer_than_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One directory entry is read for a page, however many there are before it."""
    page_by_page()(tmp_path / "s.tif", drawn())
    pictures = pages_of(tmp_path / "s.tif")
    entries = []
    made = tifffile.TiffPage.__init__
    monkeypatch.setattr(
        tifffile.TiffPage, "__init__", lambda *args, **more: entries.append(args) or made(*args, **more)
    )
    for picture in (pictures[-1], pictures[1]):
        entries.clear()
        read_image(picture)
        assert len(entries) <= 1
