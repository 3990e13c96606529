"""Import: what goes in comes out, whatever the files' kind; and every bad folder gets one clear message."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from cellab.data import importing
from cellab.data import survey as surveying
from cellab.data.dataset import Dataset
from cellab.data.importing import Import, import_folders
from cellab.data.splitting import Splitting
from cellab.data.stretching import Stretch
from cellab.errors import DataError

Folder = Callable[[str, Mapping[str, np.ndarray]], Path]
Named = Callable[[np.ndarray, str], dict[str, np.ndarray]]
Cells = tuple[np.ndarray, np.ndarray]


def run(tmp_path: Path, images: Path, masks: Path, **settings: Any) -> Dataset:
    import_folders(tmp_path / "out.h5", Import(images, masks, **settings))
    return Dataset.open(tmp_path / "out.h5")


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_frames_and_ids_come_back(tmp_path: Path, folder: Folder, named: Named, cells: Cells, ending: str) -> None:
    frames, ids = cells
    with run(tmp_path, folder("i", named(frames, ending)), folder("m", named(ids, ".png"))) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12)), ids)
        assert data.names == [str(i) for i in range(12)]  # 2 before 10
        assert data.instances
        assert data.related
        assert data.annotated.all()
        assert data.sizes(0.5).tolist() == [[20, 24]] * 12
        blocks = frames.reshape(12, 20, 2, 24, 2).mean((2, 4))
        np.testing.assert_array_equal(data.frames(0.5, np.arange(12)), np.round(blocks))
        assert data.provenance["notices"] == []
        assert data.provenance["stretch"] is None
        assert data.content_digest() == data.digest


@pytest.mark.parametrize(("value", "kind"), [(255, np.uint8), (1, np.uint8), (65535, np.uint16), (128, np.uint8)])
def test_two_values_are_a_binary_mask(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells, value: int, kind: type[np.unsignedinteger]
) -> None:
    frames, ids = cells
    masks = ((ids > 0) * value).astype(kind)
    with run(tmp_path, folder("i", named(frames, ".png")), folder("m", named(masks, ".tif"))) as data:
        assert not data.instances
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12)), ids > 0)


def test_a_mask_of_one_bit(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    with run(tmp_path, folder("i", named(frames, ".png")), folder("m", named(ids > 0, ".png"))) as data:
        np.testing.assert_array_equal(data.masks(1.0, np.arange(12)), ids > 0)


def test_one_object_a_frame_with_ids_of_their_own_are_ids(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells
) -> None:
    frames, ids = cells
    masks = (ids == 3) * np.arange(1, 13, dtype=np.uint8)[:, None, None]
    with run(tmp_path, folder("i", named(frames, ".png")), folder("m", named(masks, ".png"))) as data:
        assert data.instances
        assert set(np.unique(data.instances_of(1.0, np.arange(12)))) == set(range(13))


def test_pages_of_a_tiff_are_consecutive_frames(tmp_path: Path, folder: Folder, cells: Cells) -> None:
    frames, ids = cells
    with run(tmp_path, folder("i", {"stack.tif": frames}), folder("m", {"stack.tiff": ids})) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12)), ids)
        assert data.names[:2] == ["stack:01", "stack:02"]


def test_two_stacks_in_files_of_different_names(tmp_path: Path, folder: Folder, cells: Cells) -> None:
    frames, ids = cells
    images, masks = folder("i", {"raw.tif": frames}), folder("m", {"labels.tif": ids})
    with run(tmp_path, images / "raw.tif", masks / "labels.tif") as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)


def test_a_stack_of_fewer_masks_than_pages(tmp_path: Path, folder: Folder, cells: Cells) -> None:
    frames, ids = cells
    images, masks = folder("i", {"stack.tif": frames}), folder("m", {"stack.tif": ids[:-2]})
    for inside in (".", "stack.tif"):
        with pytest.raises(DataError, match=r"stack.tif has 10 masks for the 12 pages of .*stack.tif"):
            run(tmp_path, images / inside, masks / inside)


def test_a_stack_as_imagej_writes_it(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    images = folder("i", {})
    tifffile.imwrite(images / "s.tif", frames, imagej=True, metadata={"axes": "ZYX"})
    with run(tmp_path, images, folder("m", {"s.tif": ids})) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)


def test_a_stack_that_was_written_page_by_page(tmp_path: Path, folder: Folder, cells: Cells) -> None:
    frames, ids = cells
    images = folder("i", {})
    with tifffile.TiffWriter(images / "s.tif") as writer:
        for frame in frames:
            writer.write(frame, contiguous=False, compression="zlib")
    with run(tmp_path, images, folder("m", {"s.tif": ids})) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)


def test_a_tiff_that_holds_several_sizes(tmp_path: Path, folder: Folder, cells: Cells) -> None:
    frames, ids = cells
    images = folder("i", {})
    with tifffile.TiffWriter(images / "s.tif") as writer:
        writer.write(frames)
        writer.write(frames[0, ::2, ::2])
    with pytest.raises(DataError, match=r"s\.tif holds images of 2 sizes"):
        run(tmp_path, images, folder("m", {"s.tif": ids}))


def test_a_stack_behind_a_single_directory_entry(tmp_path: Path, folder: Folder, cells: Cells) -> None:
    frames, ids = cells
    images = folder("i", {})
    tifffile.imwrite(images / "s.tif", frames, metadata={"axes": "ZYX"}, volumetric=False)
    with tifffile.TiffFile(images / "s.tif") as whole:
        offset, second = whole.pages[0].dataoffsets[0], whole.pages[1].dataoffsets[0]  # type: ignore[union-attr]
    assert second - offset == frames[0].nbytes  # contiguous, as ImageJ's large stacks
    content = bytearray((images / "s.tif").read_bytes())
    with tifffile.TiffFile(images / "s.tif") as whole:
        entry = whole.pages[0]
        end = entry.offset + 2 + 12 * len(entry.tags)  # type: ignore[union-attr]
    content[end : end + 4] = bytes(4)  # no next entry; the shape stays in the description
    (images / "s.tif").write_bytes(content)
    with tifffile.TiffFile(images / "s.tif") as cut:
        assert len(cut.pages) == 1
        assert cut.series[0].shape == frames.shape
    with run(tmp_path, images, folder("m", {"s.tif": ids})) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_16_bit_is_stretched_by_percentiles_of_all_frames(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells, ending: str
) -> None:
    _, ids = cells
    deep = np.random.default_rng(1).integers(1000, 3001, ids.shape).astype(np.uint16)
    deep[0] = 1000  # a dark frame stays dark
    images, masks = folder("i", named(deep, ending)), folder("m", named(ids, ".png"))
    with run(tmp_path, images, masks, stretch=Stretch(percentiles=(1, 99))) as data:
        stretch = data.provenance["stretch"]
        assert stretch["reason"] == "16 bit"
        assert stretch["low"] == pytest.approx(np.percentile(deep, 1), abs=2)
        assert stretch["high"] == pytest.approx(np.percentile(deep, 99), abs=2)
        assert "were stretched to 0 to 255 (16 bit)" in data.provenance["notices"][0]
        frames = data.frames(1.0, np.arange(12))
        assert frames[0].max() == 0
        expected = (deep[5].astype(float) - stretch["low"]) / (stretch["high"] - stretch["low"]) * 255
        np.testing.assert_allclose(frames[5], np.clip(expected, 0, 255), atol=0.51)


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        ("int16", "signed 16 bit"),
        ("uint32", "32 bit"),
        ("int32", "signed 32 bit"),
        ("float32", "32-bit float"),
        ("float64", "64-bit float"),
    ],
)
def test_other_numbers_are_stretched_by_percentiles_of_all_frames(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells, dtype: str, reason: str
) -> None:
    frames, ids = cells
    numbers = (frames.astype(float) * 7 - (0 if dtype == "uint32" else 900)).astype(dtype)
    numbers[4, 3, 3] = 30000  # a hot pixel
    images, masks = folder("i", named(numbers, ".tif")), folder("m", named(ids, ".png"))
    with run(tmp_path, images, masks, stretch=Stretch(percentiles=(2, 97))) as data:
        low, high = np.percentile(numbers, (2, 97), method="inverted_cdf")
        expected = {"low": low, "high": high, "reason": reason, "each": False, "dtype": dtype}
        assert data.provenance["stretch"] == expected
        assert f"grey values {low:.9g} to {high:.9g} were stretched" in data.provenance["notices"][0]
        stretched = np.clip((numbers.astype(float) - low) / (high - low) * 255, 0, 255)
        np.testing.assert_allclose(data.frames(1.0, np.arange(12)), stretched, atol=0.51)


def test_other_numbers_cannot_stay_unstretched(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    images, masks = folder("i", named(frames / np.float32(255), ".tif")), folder("m", named(ids, ".png"))
    with pytest.raises(DataError, match="stretch none: images of float32 values must be stretched"):
        run(tmp_path, images, masks, stretch=Stretch("none"))


def test_what_was_done_to_pictures_is_counted(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    images, masks = folder("i", named(frames[:5], ".png")), folder("m", named(ids[:9], ".png"))
    for index in range(5, 12):
        tifffile.imwrite(images / f"{index}.tif", 255 - frames[index], photometric="miniswhite")
    for index in range(9, 12):
        tifffile.imwrite(masks / f"{index}.tif", ids[index], photometric="miniswhite")
    with run(tmp_path, images, masks) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12)), ids)
        assert data.provenance["notices"] == [
            "7 images: stored inverted (MINISWHITE), turned over as it is shown",
            "3 masks: stored inverted (MINISWHITE), its stored numbers were taken, 0 is background",
        ]


def test_fluorescence_is_stretched_and_ordinary_8_bit_is_not(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells
) -> None:
    frames, ids = cells
    dim = (frames // 16 + (ids > 0) * 90).astype(np.uint8)
    masks = folder("m", named(ids, ".png"))
    with run(tmp_path, folder("dim", named(dim, ".png")), masks) as data:
        assert "dark background" in data.provenance["stretch"]["reason"]
        assert np.max(data.frames(1.0, np.arange(12))) == 255
    (tmp_path / "out.h5").unlink()
    with run(tmp_path, tmp_path / "dim", masks, stretch=Stretch("none")) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), dim)


def test_colour_becomes_grey_with_a_notice(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    _, ids = cells
    colour = np.random.default_rng(2).integers(0, 256, (*ids.shape, 3)).astype(np.uint8)
    images = folder("i", named(colour[:6], ".png"))
    for index, frame in list(enumerate(colour))[6:]:
        tifffile.imwrite(images / f"{index}.tif", frame, photometric="rgb")
    with run(tmp_path, images, folder("m", named(ids, ".png"))) as data:
        grey = np.round(colour @ np.array([0.299, 0.587, 0.114]))
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), grey)
        assert data.provenance["notices"][0].startswith("12 images: colour was converted to grey")


def test_colours_of_a_palette_are_looked_up(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    images = folder("i", {})
    for index, frame in enumerate(frames):
        Image.fromarray(np.stack([frame & 0xE0] * 3, -1)).convert("P", palette=Image.Palette.ADAPTIVE).save(
            images / f"{index}.png"
        )
    with run(tmp_path, images, folder("m", named(ids, ".png"))) as data:
        np.testing.assert_allclose(data.frames(1.0, np.arange(12)), frames & 0xE0, atol=1)


def test_an_inverted_tiff_is_turned_over(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    images = folder("i", {})
    for index, frame in enumerate(frames):
        tifffile.imwrite(images / f"{index}.tif", 255 - frame, photometric="miniswhite")
    with run(tmp_path, images, folder("m", named(ids, ".png"))) as data:
        np.testing.assert_array_equal(data.frames(1.0, np.arange(12)), frames)


def test_frames_without_a_mask_are_not_annotated(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    masks = named(ids, ".png")
    del masks["2.png"], masks["11.png"]
    with run(tmp_path, folder("i", named(frames, ".png")), folder("m", masks)) as data:
        assert np.flatnonzero(~data.annotated).tolist() == [2, 11]
        assert not data.masks(1.0, [2])[0].any()
        assert data.provenance["notices"] == ["2 of 12 frames have no mask: not annotated"]


def test_truth_is_kept_beside_the_masks(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    given = np.where(ids == 7, 0, ids)
    given[0, 0, 0] = 9  # two ids somewhere: these are ids
    images, masks = folder("i", named(frames, ".png")), folder("m", named(given, ".png"))
    with run(tmp_path, images, masks, truth=folder("t", named(ids, ".png"))) as data:
        assert data.has_truth
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12), truth=True), ids)
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12)), given)


def test_ids_are_dropped_where_only_the_truth_has_some(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells
) -> None:
    frames, ids = cells
    given = ((ids == 3) * 255).astype(np.uint8)
    images, masks = folder("i", named(frames, ".png")), folder("m", named(given, ".png"))
    with run(tmp_path, images, masks, truth=folder("t", named(ids, ".png"))) as data:
        assert not data.instances
        np.testing.assert_array_equal(data.instances_of(1.0, np.arange(12), truth=True), ids > 0)
        assert "ids were dropped" in data.provenance["notices"][0]


def test_masks_that_mark_what_the_truth_does_not(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    """Given the wrong way round, or shifted; a truth whose outlines differ a little is no such thing."""
    frames, ids = cells
    images, complete = folder("i", named(frames, ".png")), folder("complete", named(ids, ".png"))
    half = folder("half", named(np.where(ids == 7, 0, ids), ".png"))
    wider = folder("wider", named((ids > 0) | (np.roll(ids, 1, 2) > 0), ".png"))
    for masks, truth, told in ((half, complete, False), (complete, half, True), (complete, wider, False)):
        import_folders(tmp_path / "out.h5", Import(images, masks, truth=truth), overwrite=True)
        with Dataset.open(tmp_path / "out.h5") as data:
            assert any("are they the wrong way round" in each for each in data.provenance["notices"]) == told


def test_an_orientation_tag_on_one_of_a_pair_is_told(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells
) -> None:
    frames, ids = cells
    images = folder("i", {})
    for index, frame in enumerate(frames):
        tifffile.imwrite(images / f"{index}.tif", frame, extratags=[(274, "H", 1, 3, True)])  # upside down
    with run(tmp_path, images, folder("m", named(ids, ".png"))) as data:
        np.testing.assert_array_equal(data.frames(1.0, [0])[0], frames[0, ::-1, ::-1])
        assert any("12 pairs of which only one has an orientation tag" in each for each in data.provenance["notices"])


def test_the_same_folders_give_the_same_bytes(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    settings = Import(folder("i", named(frames, ".png")), folder("m", named(ids, ".png")))
    import_folders(tmp_path / "a.h5", settings)
    import_folders(tmp_path / "b.h5", settings)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_unrelated_images_are_split_at_random(tmp_path: Path, folder: Folder, named: Named, cells: Cells) -> None:
    frames, ids = cells
    images, masks = folder("i", named(frames, ".png")), folder("m", named(ids, ".png"))
    with run(tmp_path, images, masks, related=False, splitting=Splitting("random", seed=1)) as data:
        assert not data.related
        assert len(data.indices("unused")) == 0
        assert data.indices("train").tolist() != list(range(len(data.indices("train"))))


# what is wrong with the folders, and what is said of it


def broken(  # noqa: PLR0912 (one branch for each way to be broken)
    folder: Folder, named: Named, cells: Cells, what: str
) -> tuple[Path, Path, dict[str, Any]]:
    frames, ids = cells
    images, masks = named(frames, ".png"), named(ids, ".png")
    more: dict[str, Any] = {}
    if what == "size of mask":
        masks["4.png"] = ids[4, :, :30]
    elif what == "size of image":
        images["4.png"] = frames[4, :, :30]
    elif what == "bits":
        images["4.png"] = frames[4].astype(np.uint16)
    elif what == "lost mask":
        masks["7_cells.png"] = masks.pop("7.png")
    elif what == "lost masks":
        masks = {f"cells-{name}": mask for name, mask in masks.items()}
    elif what == "zeros":
        masks = named(ids * (np.arange(12) > 7)[:, None, None], ".png")
    elif what == "no training mask":
        masks = {name: mask for name, mask in masks.items() if name in ("8.png", "9.png", "10.png", "11.png")}
    elif what == "no images":
        images = {}
    elif what == "no masks":
        masks = {}
    elif what == "two of a name":
        images["3.tif"] = frames[3]
    elif what == "float":
        del images["3.png"]
        images["3.tif"] = frames[3] / 255
    elif what == "colour mask":
        masks["3.png"] = np.random.default_rng(0).integers(0, 9, (40, 48, 3)).astype(np.uint8)
    elif what == "negative ids":
        del masks["3.png"]
        masks["3.tif"] = ids[3].astype(np.int32) - 1
    elif what == "truth lacks a frame":
        more["truth"] = folder("t", {name: mask for name, mask in masks.items() if name != "6.png"})
    elif what == "few":
        images, masks = named(frames[:3], ".png"), named(ids[:3], ".png")
    elif what == "channels":
        images = {}
    made = folder("i", images), folder("m", masks)
    if what == "channels":
        tifffile.imwrite(made[0] / "0.tif", np.stack([frames, frames], 1), imagej=True, metadata={"axes": "ZCYX"})
    if what == "truncated":
        content = (made[0] / "5.png").read_bytes()
        (made[0] / "5.png").write_bytes(content[: len(content) // 2])
    if what == "truncated tiff":
        (made[0] / "5.png").unlink()
        tifffile.imwrite(made[0] / "5.tif", frames[5])
        content = (made[0] / "5.tif").read_bytes()
        (made[0] / "5.tif").write_bytes(content[: len(content) // 2])
    if what == "not an image":
        (made[1] / "5.png").write_text("hello")
    return *made, more


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("size of mask", r"mask .*4\.png has 40 × 30 pixels and its image .*4\.png 40 × 48"),
        ("size of image", r"mask .*4\.png has 40 × 48 pixels and its image .*4\.png 40 × 30"),
        ("bits", r"image .*4\.png is uint16"),
        ("lost mask", r"7_cells\.png has no image of that name \(if '7' is its image, give --mask-suffix=_cells\)"),
        ("lost masks", r"mask .*cells-0\.png and 11 more have no image of that name \(the nearest is '0'\)"),
        ("zeros", "training masks are all zeros"),
        ("no training mask", "no training frame has a mask"),
        ("no images", r"there are no images in .*: it is empty"),
        ("no masks", r"there are no masks in .*: it is empty"),
        ("two of a name", r"3\.png and .*3\.tif have the same name"),
        ("float", r"image .*3\.tif is float64 and .*0\.png uint8: save all in the same type"),
        ("colour mask", r"mask .*3\.png is in colour"),
        ("negative ids", r"mask .*3\.tif holds -1 \(int32\) in row 0, column 0: give whole numbers"),
        ("truth lacks a frame", r"1 frames have no truth in .*6\.png"),
        ("few", r"3 frames less 2 unused ones .* leave no validation and no test frame"),
        ("channels", r"0\.tif holds 2 channels"),
        ("truncated", r"5\.png cannot be read .*damaged or truncated"),
        ("truncated tiff", r"5\.tif cannot be read .*damaged or truncated"),
        ("not an image", r"5\.png cannot be read .*damaged or truncated"),
    ],
)
def test_bad_folders_get_one_message_and_no_file(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells, what: str, said: str
) -> None:
    images, masks, more = broken(folder, named, cells, what)
    with pytest.raises(DataError, match=said) as error:
        import_folders(tmp_path / "out.h5", Import(images, masks, **more))
    assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("*.h5*"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no folder .*none to take images from"):
        import_folders(tmp_path / "out.h5", Import(tmp_path / "none", tmp_path))


def test_a_folder_of_other_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(DataError, match=r"it holds 1 file ending in \.jpg, 'a\.jpg'; PNG or TIFF is needed"):
        import_folders(tmp_path / "out.h5", Import(tmp_path, tmp_path))


def test_an_existing_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "out.h5").write_text("precious")
    with pytest.raises(DataError, match="is there already"):
        import_folders(tmp_path / "out.h5", Import(tmp_path / "none", tmp_path / "none"))
    assert (tmp_path / "out.h5").read_text() == "precious"


def test_trouble_in_mid_import_leaves_nothing(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames, ids = cells
    settings = Import(folder("i", named(frames, ".png")), folder("m", named(ids, ".png")))
    seen = []

    def progress(what: str, done: int, total: int) -> None:
        if what == "writing frames":
            seen.extend(tmp_path.glob("*.h5*"))
            (settings.images / "8.png").write_bytes(b"gone bad")

    with pytest.raises(DataError, match=r"8\.png cannot be read"):
        import_folders(tmp_path / "out.h5", settings, progress=progress)
    assert {path.name for path in seen} == {"out.h5.partial"}
    assert not list(tmp_path.glob("*.h5*"))


def test_memory_does_not_grow_with_the_number_of_frames(
    tmp_path: Path, folder: Folder, named: Named, cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image is read when its turn comes, twice in all, and none is read ahead."""
    frames, ids = cells
    order: list[str] = []
    for module in (surveying, importing):
        monkeypatch.setattr(module, "read_mask", lambda p, read=module.read_mask: order.append(p.key) or read(p))
    import_folders(
        tmp_path / "out.h5",
        Import(folder("i", named(frames, ".png")), folder("m", named(ids, ".png"))),
        progress=lambda _what, done, _total: order.append(f"done {done}"),
    )
    expected = [each for i in range(12) for each in (str(i), f"done {i + 1}")]
    assert order == 2 * expected


NUCLEI = Path(__file__).parents[4] / "shared" / "data" / "nuclei-dsb2018"


@pytest.mark.skipif(not NUCLEI.is_dir(), reason="the real nuclei lie beside the repository, where they are at hand")
def test_real_nuclei(tmp_path: Path) -> None:
    settings = Import(
        NUCLEI / "images", NUCLEI / "instances", related=False, splitting=Splitting("random"), scales=(0.5,)
    )
    import_folders(tmp_path / "out.h5", settings)
    with Dataset.open(tmp_path / "out.h5") as data:
        assert data.n_frames == 334
        assert data.instances
        assert 0.07 < np.mean(data.masks(0.5, np.arange(334))) < 0.09  # about 8 % are nuclei, its README says
        assert "dark background" in data.provenance["notices"][0]
