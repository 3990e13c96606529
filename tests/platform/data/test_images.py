"""Reading pictures: images come as they are shown, masks as the numbers that are stored, geometry as shown for both."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from cellab.data.images import Picture, pages_of, read_image, read_mask
from cellab.errors import DataError

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types of PNG
WEIGHTS = np.array([0.299, 0.587, 0.114])
RNG = np.random.default_rng(8)


def drawn(bits: int, *channels: int) -> np.ndarray:
    """Noise over the whole range of so many bits, (21, 34) or (21, 34, channels)."""
    kind = np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32
    return RNG.integers(0, 2**bits, (21, 34, *channels)).astype(kind)


def discs(value: int = 1, dtype: type[np.generic] = np.uint8) -> np.ndarray:
    rows, columns = np.mgrid[:21, :34]
    return (((rows - 8) ** 2 + (columns - 12) ** 2 < 30) * value).astype(dtype)


def write_png(path: Path, samples: np.ndarray, bits: int, colours: int, **chunks: bytes) -> Path:
    """A PNG of any depth and kind, which no library writes."""

    def chunk(name: str, content: bytes) -> bytes:
        tagged = name.encode() + content
        return struct.pack(">I", len(content)) + tagged + struct.pack(">I", zlib.crc32(tagged))

    height, width = samples.shape[:2]
    flat = samples.reshape(height, -1).astype(">u2" if bits == 16 else np.uint8)
    if bits < 8:
        ones = np.unpackbits(flat[..., None], axis=-1)[..., -bits:].reshape(height, -1)
        flat = np.packbits(ones, axis=-1)
    rows = b"".join(b"\0" + row.tobytes() for row in flat)
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk("IHDR", header)
        + b"".join(chunk(name, content) for name, content in chunks.items())
        + chunk("IDAT", zlib.compress(rows))
        + chunk("IEND", b"")
    )
    return path


def write_palette_tiff(path: Path, numbers: np.ndarray, bits: int, palette: np.ndarray) -> None:
    """A TIFF with a colour map, of fewer bits too, which tifffile does not write by itself."""
    colours = (palette.T.astype(np.uint16) * 257).ravel()
    how: dict[str, Any] = {"bitspersample": bits} if bits < 8 else {}
    tifffile.imwrite(path, numbers, extratags=[(320, 3, len(colours), colours, True)], **how)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["PhotometricInterpretation"].overwrite(3)


def only(path: Path) -> Picture:
    (picture,) = pages_of(path)
    return picture


def image_of(path: Path) -> np.ndarray:
    return read_image(only(path))[0]


def mask_of(path: Path) -> np.ndarray:
    return read_mask(only(path))[0]


def grey(colours: np.ndarray) -> np.ndarray:
    return np.round(colours @ WEIGHTS).astype(colours.dtype)


# depths


@pytest.mark.parametrize(("bits", "spread"), [(1, 255), (2, 85), (4, 17), (8, 1), (16, 1)])
def test_grey_png(tmp_path: Path, bits: int, spread: int) -> None:
    numbers = drawn(bits)
    path = write_png(tmp_path / "a.png", numbers, bits, GREY)
    np.testing.assert_array_equal(image_of(path), numbers * spread)
    np.testing.assert_array_equal(mask_of(path), numbers)
    assert image_of(path).dtype == numbers.dtype
    assert mask_of(path).dtype == np.uint32
    assert read_image(only(path))[1] == read_mask(only(path))[1] == ()


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize(("bits", "spread"), [(1, 255), (2, 85), (4, 17), (8, 1), (12, 1), (16, 1), (32, 1)])
def test_grey_tiff(tmp_path: Path, bits: int, spread: int, inverted: bool) -> None:
    numbers = drawn(bits)
    how: dict[str, Any] = {"photometric": "miniswhite" if inverted else "minisblack"}
    if bits not in (1, 8, 16, 32):
        how |= {"bitspersample": bits}
    tifffile.imwrite(tmp_path / "a.tif", numbers.astype(bool) if bits == 1 else numbers, **how)
    image, notices = read_image(only(tmp_path / "a.tif"))
    shown = (2**bits - 1 - numbers if inverted else numbers) * spread
    np.testing.assert_array_equal(image, shown)
    assert image.dtype == numbers.dtype
    assert any("MINISWHITE" in notice for notice in notices) == inverted
    mask, notices = read_mask(only(tmp_path / "a.tif"))
    if bits == 1:  # black and white are no numbers: white is object, however it is stored
        np.testing.assert_array_equal(mask, shown > 0)
        assert notices == ()
    else:
        np.testing.assert_array_equal(mask, numbers)
        assert any("MINISWHITE" in notice for notice in notices) == inverted


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64])
def test_numbers_with_a_sign_keep_their_type(tmp_path: Path, dtype: type[np.number], inverted: bool) -> None:
    numbers = RNG.normal(0, 30, (21, 34)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="miniswhite" if inverted else "minisblack")
    image = image_of(tmp_path / "a.tif")
    assert image.dtype == dtype
    if not inverted:
        np.testing.assert_array_equal(image, numbers)
    else:
        np.testing.assert_array_equal(np.argsort(image, axis=None)[::-1][:1], np.argsort(numbers, axis=None)[:1])
        np.testing.assert_array_equal(np.diff(image.astype(float)), -np.diff(numbers.astype(float)))


def test_a_picture_without_a_photometric_tag_is_not_inverted(tmp_path: Path) -> None:
    numbers = drawn(8)
    tifffile.imwrite(tmp_path / "a.tif", numbers)
    with tifffile.TiffFile(tmp_path / "a.tif") as whole:
        tag = whole.pages.first.tags["PhotometricInterpretation"]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    struct.pack_into("<H", content, tag.offset, 65000)  # a private one instead
    (tmp_path / "a.tif").write_bytes(content)
    np.testing.assert_array_equal(image_of(tmp_path / "a.tif"), numbers)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_images_with_values_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    numbers = RNG.random((21, 34)).astype(np.float32)
    numbers[3, 4:7] = value
    tifffile.imwrite(tmp_path / "a.tif", numbers)
    with pytest.raises(DataError, match=r"a\.tif holds 3 values that are infinite or no numbers"):
        read_image(only(tmp_path / "a.tif"))


def test_complex_numbers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", drawn(8) * np.complex64(1j))
    with pytest.raises(DataError, match=r"a\.tif holds complex64 values"):
        read_image(only(tmp_path / "a.tif"))
    with pytest.raises(DataError, match=r"mask .*a\.tif holds complex64 values"):
        read_mask(only(tmp_path / "a.tif"))


# colours


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("writer", ["png", "contiguous tiff", "planar tiff"])
def test_colours_become_grey_of_as_many_bits(tmp_path: Path, writer: str, bits: int, alpha: bool) -> None:
    colours = drawn(bits, 4 if alpha else 3)
    path = tmp_path / ("a.png" if writer == "png" else "a.tif")
    if writer == "png":
        write_png(path, colours, bits, RGBA if alpha else RGB)
    elif writer == "contiguous tiff":
        tifffile.imwrite(path, colours, photometric="rgb", extrasamples=["unassalpha"] if alpha else None)
    else:
        tifffile.imwrite(path, np.moveaxis(colours, -1, 0), photometric="rgb", planarconfig="separate")
    image, notices = read_image(only(path))
    np.testing.assert_array_equal(image, grey(colours[..., :3]))
    assert image.dtype == colours.dtype
    assert any("converted to grey" in notice for notice in notices)
    assert ("transparency was dropped" in notices) == alpha
    with pytest.raises(DataError, match=r"mask .*a\.\w+ is in colour: give one grey value .* number the colours"):
        read_mask(only(path))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_with_transparency(tmp_path: Path, ending: str, bits: int) -> None:
    both = drawn(bits, 2)
    path = tmp_path / f"a.{ending}"
    if ending == "png":
        write_png(path, both, bits, GREY_ALPHA)
    else:
        tifffile.imwrite(path, both, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"])
    image, notices = read_image(only(path))
    np.testing.assert_array_equal(image, both[..., 0])
    assert notices == ("transparency was dropped",)
    np.testing.assert_array_equal(mask_of(path), both[..., 0])


def test_nothing_is_said_where_nothing_was_lost(tmp_path: Path) -> None:
    """Grey in three equal channels, opaque."""
    numbers = drawn(8)
    write_png(tmp_path / "a.png", np.dstack([numbers, numbers, numbers, np.full_like(numbers, 255)]), 8, RGBA)
    image, notices = read_image(only(tmp_path / "a.png"))
    np.testing.assert_array_equal(image, numbers)
    np.testing.assert_array_equal(mask_of(tmp_path / "a.png"), numbers)
    assert notices == ()


@pytest.mark.parametrize(("bits", "value"), [(8, 7), (16, 513), (2, 3)])
def test_a_colour_of_png_that_counts_as_transparent(tmp_path: Path, bits: int, value: int) -> None:
    numbers = drawn(bits)
    write_png(tmp_path / "a.png", numbers, bits, GREY, tRNS=struct.pack(">H", value))
    image, notices = read_image(only(tmp_path / "a.png"))
    np.testing.assert_array_equal(image, numbers * (85 if bits == 2 else 1))
    assert notices == ("transparency was dropped",)
    np.testing.assert_array_equal(mask_of(tmp_path / "a.png"), numbers)


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize(
    ("ending", "bits"), [("png", 1), ("png", 2), ("png", 4), ("png", 8), ("tif", 2), ("tif", 4), ("tif", 8)]
)
def test_palettes_are_looked_up_for_images_and_are_ids_in_masks(
    tmp_path: Path, ending: str, bits: int, coloured: bool
) -> None:
    numbers = drawn(bits)
    palette = RNG.integers(0, 256, (2**bits, 3 if coloured else 1)).astype(np.uint8) * np.ones((1, 3), np.uint8)
    palette[0] = 0
    path = tmp_path / f"a.{ending}"
    if ending == "png":
        write_png(path, numbers, bits, PALETTE, PLTE=palette.tobytes())
    else:
        write_palette_tiff(path, numbers, bits, palette)
    image, notices = read_image(only(path))
    np.testing.assert_array_equal(image, grey(palette[numbers]))
    assert image.dtype == np.uint8
    assert bool(notices) == coloured
    np.testing.assert_array_equal(mask_of(path), numbers)


@pytest.mark.parametrize("scale", [1, 256, 257])
def test_a_colour_map_of_grey_gives_the_greys_however_it_is_scaled(tmp_path: Path, scale: int) -> None:
    """Old programs wrote 8 bit into it, ImageJ shifts by eight bits, others multiply by 257."""
    numbers = drawn(8)
    ramp = np.arange(256, dtype=np.uint16)[::-1] * np.uint16(scale)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=np.stack([ramp] * 3))
    np.testing.assert_array_equal(image_of(tmp_path / "a.tif"), 255 - numbers)


def test_a_palette_of_65536_colours_keeps_16_bit(tmp_path: Path) -> None:
    numbers = drawn(16)
    ramp = np.arange(65536)[::-1].astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", numbers, photometric="palette", colormap=np.stack([ramp] * 3))
    np.testing.assert_array_equal(image_of(tmp_path / "a.tif"), 65535 - numbers)
    np.testing.assert_array_equal(mask_of(tmp_path / "a.tif"), numbers)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_palette_that_shows_the_background_white_is_told(tmp_path: Path, ending: str) -> None:
    palette = np.array([[255, 255, 255], [0, 0, 0]] + [[9, 9, 9]] * 254, np.uint8)
    path = tmp_path / f"a.{ending}"
    if ending == "png":
        write_png(path, discs(), 8, PALETTE, PLTE=palette.tobytes())
    else:
        tifffile.imwrite(path, discs(), photometric="palette", colormap=palette.T.astype(np.uint16) * 257)
    mask, notices = read_mask(only(path))
    np.testing.assert_array_equal(mask, discs())
    assert any("its palette shows 0 brightest" in notice for notice in notices)


@pytest.mark.parametrize(("first", "second"), [((255,) * 3, (0,) * 3), ((0,) * 3, (255,) * 3), ((0,) * 3, (128, 0, 0))])
def test_of_a_palette_of_one_bit_the_brighter_is_object(
    tmp_path: Path, first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    stored = discs() if sum(first) == 0 else 1 - discs()
    write_png(tmp_path / "a.png", stored, 1, PALETTE, PLTE=bytes(first + second))
    np.testing.assert_array_equal(mask_of(tmp_path / "a.png"), discs())


def smooth() -> np.ndarray:
    rows, columns = np.mgrid[:32, :48]
    return np.dstack([columns * 5, rows * 7, (rows + columns) * 3]).astype(np.uint8)


@pytest.mark.parametrize("writer", ["tifffile", "Pillow", "Pillow YCbCr", "PNG ending"])
def test_jpeg_is_shown_in_its_colours(tmp_path: Path, writer: str) -> None:
    if writer == "tifffile":
        tifffile.imwrite(tmp_path / "a.tif", smooth(), photometric="rgb", compression="jpeg")
    elif writer == "PNG ending":
        Image.fromarray(smooth()).save(tmp_path / "a.png", "JPEG", quality=95)
    else:
        image = Image.fromarray(smooth())
        image = image.convert("YCbCr") if writer == "Pillow YCbCr" else image
        image.save(tmp_path / "a.tif", compression="jpeg", quality=95)
    (path,) = tmp_path.iterdir()
    np.testing.assert_allclose(image_of(path), grey(smooth()), atol=4)


def test_brightness_and_colour_difference_without_jpeg(tmp_path: Path) -> None:
    Image.fromarray(smooth()).convert("YCbCr").save(tmp_path / "a.tif", compression="tiff_lzw")
    np.testing.assert_allclose(image_of(tmp_path / "a.tif"), grey(smooth()), atol=1)


@pytest.mark.parametrize(("mode", "said"), [("CMYK", "CMYK"), ("LAB", "Lab")])
def test_colours_of_print(tmp_path: Path, mode: str, said: str) -> None:
    Image.fromarray(smooth()).convert("RGB" if mode == "LAB" else mode).save(tmp_path / "a.tif")
    if mode == "LAB":
        tifffile.imwrite(tmp_path / "a.tif", smooth(), photometric="cielab")
    for read in (read_image, read_mask):
        with pytest.raises(DataError, match=rf"a\.tif is stored as {said}: save it as grey or RGB"):
            read(only(tmp_path / "a.tif"))


def test_colours_of_print_under_another_ending(tmp_path: Path) -> None:
    Image.fromarray(smooth()).convert("CMYK").save(tmp_path / "a.png", "JPEG")
    with pytest.raises(DataError, match=r"a\.png is stored as CMYK: save it as grey or RGB"):
        read_image(only(tmp_path / "a.png"))


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_channels_that_are_no_colours(tmp_path: Path, planar: str, count: int) -> None:
    channels = np.moveaxis(drawn(8, count), -1, 0) if planar == "separate" else drawn(8, count)
    tifffile.imwrite(tmp_path / "a.tif", channels, photometric="minisblack", planarconfig=planar)
    with pytest.raises(DataError, match=rf"a\.tif.* holds {count} channels: save the one to import by itself"):
        read_image(only(tmp_path / "a.tif"))


def test_an_animated_png(tmp_path: Path) -> None:
    frames = [Image.fromarray(drawn(8)) for _ in range(3)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match=r"a\.png is animated"):
        read_image(only(tmp_path / "a.png"))


@pytest.mark.parametrize(("ending", "kind"), [("tif", "PNG"), ("png", "TIFF"), ("tiff", "JPEG")])
def test_content_counts_rather_than_the_ending(tmp_path: Path, ending: str, kind: str) -> None:
    image = np.full((21, 34), 77, np.uint8)
    Image.fromarray(image).save(tmp_path / f"a.{ending}", kind)
    np.testing.assert_array_equal(image_of(tmp_path / f"a.{ending}"), image)


# geometry


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_orientation_is_as_shown_for_images_and_masks(tmp_path: Path, ending: str, orientation: int) -> None:
    numbers = drawn(8)
    exif = Image.Exif()
    exif[274] = orientation
    path = tmp_path / f"a.{ending}"
    if ending == "png":
        Image.fromarray(numbers).save(path, exif=exif)
    else:
        tifffile.imwrite(path, numbers, extratags=[(274, 3, 1, orientation, True)])
    unturned = Image.fromarray(numbers)
    unturned.getexif()[274] = orientation
    shown = np.asarray(ImageOps.exif_transpose(unturned))
    for read in (read_image, read_mask):
        turned, notices = read(only(path))
        np.testing.assert_array_equal(turned, shown)
        assert any("orientation" in notice for notice in notices) == (orientation > 1)


# masks


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, np.int16, np.int64, np.float32, np.float64])
def test_masks_of_whole_numbers_of_any_type(tmp_path: Path, dtype: type[np.number]) -> None:
    largest = 2**32 - 1 if np.dtype(dtype).itemsize == 8 or dtype == np.uint32 else 32767
    for value in (1, largest):
        tifffile.imwrite(tmp_path / "a.tif", discs(value, dtype))
        np.testing.assert_array_equal(mask_of(tmp_path / "a.tif"), discs(value, np.uint32))


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        (np.float32, 0.5, "0.5"),
        (np.float64, 1 + 1e-9, r"1\.000000001"),
        (np.float32, np.nan, "nan"),
        (np.float16, np.inf, "inf"),
        (np.float32, -3, r"-3\.0"),
        (np.int16, -7, "-7"),
        (np.float64, 2**32, r"4294967296\.0"),
        (np.float32, 2**32, r"4294967296\.0"),
        (np.uint64, 2**40, "1099511627776"),
        (np.int64, 2**33, "8589934592"),
    ],
)
def test_a_value_that_is_no_id_is_refused_not_cut(
    tmp_path: Path, dtype: type[np.number], value: float, said: str
) -> None:
    mask = discs(5, dtype)
    mask[17, 30] = dtype(value)
    tifffile.imwrite(tmp_path / "a.tif", mask)
    with pytest.raises(
        DataError, match=rf"mask .*a\.tif holds {said} \({mask.dtype}\) in row 17, column 30: give whole"
    ):
        read_mask(only(tmp_path / "a.tif"))


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_objects_in_the_transparency(tmp_path: Path, ending: str, channels: int) -> None:
    flat = np.full((21, 34), 255, np.uint8)
    content = np.dstack([flat] * (channels - 1) + [discs(255)])
    if ending == "png":
        Image.fromarray(content).save(tmp_path / "a.png")
    else:
        how: dict[str, Any] = {"photometric": "rgb" if channels == 4 else "minisblack", "planarconfig": "contig"}
        tifffile.imwrite(tmp_path / "a.tif", content, extrasamples=["unassalpha"], **how)
    with pytest.raises(
        DataError, match=r"mask .*a\.\w+ .* the objects seem to be in its transparency \(alpha\): save that"
    ):
        read_mask(only(tmp_path / f"a.{ending}"))


@pytest.mark.parametrize("alpha", [255, "same"])
def test_transparency_beside_objects_is_dropped(tmp_path: Path, alpha: int | str) -> None:
    mask = discs(255)
    Image.fromarray(np.dstack([mask, mask, mask, mask if alpha == "same" else np.full_like(mask, 255)])).save(
        tmp_path / "a.png"
    )
    read, notices = read_mask(only(tmp_path / "a.png"))
    np.testing.assert_array_equal(read, mask)
    assert notices == (("transparency was dropped",) if alpha == "same" else ())


def test_an_empty_mask_in_opaque_colours(tmp_path: Path) -> None:
    Image.fromarray(np.dstack([discs(0)] * 3 + [np.full((21, 34), 255, np.uint8)])).save(tmp_path / "a.png")
    assert not mask_of(tmp_path / "a.png").any()


# files


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: None])
def test_what_the_system_says_is_not_called_damage(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png cannot be read: (Is a directory|No such file or directory)\."):
        read_image(Picture(tmp_path / "a.png", None, "a"))


def test_a_png_with_a_flipped_bit(tmp_path: Path) -> None:
    path = write_png(tmp_path / "a.png", drawn(8), 8, GREY)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png cannot be read .*damaged or truncated"):
        read_image(only(path))
