"""Which mask belongs to which image, by all the ways in which people and programs name them; and what was left out."""

import os
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellab.data.sources import Sources, find_sources
from cellab.errors import DataError

Folder = Callable[[str, Mapping[str, np.ndarray]], Path]
PLANE = np.zeros((4, 5), np.uint8)


@pytest.fixture
def find(folder: Folder) -> Callable[..., Sources]:
    """Finds sources among images and masks of these names; a number after a name: a TIFF of so many pages."""

    def files(names: list[str | tuple[str, int]]) -> dict[str, np.ndarray]:
        return {
            name if isinstance(name, str) else name[0]: PLANE if isinstance(name, str) else np.stack([PLANE] * name[1])
            for name in names
        }

    def run(images: list[str | tuple[str, int]], masks: list[str | tuple[str, int]], **options: str) -> Sources:
        return find_sources(folder("images", files(images)), folder("masks", files(masks)), None, **options)

    return run


def names(sources: Sources) -> dict[str, str | None]:
    return {
        image.key: None if mask is None else (mask.path.name if mask.page is None else f"{mask.path.name} {mask.page}")
        for image, mask in zip(sources.images, sources.masks, strict=True)
    }


@pytest.mark.parametrize(
    ("image", "mask", "differ"),
    [
        ("a1", "a1", None),
        ("a1.ome", "a1", None),
        ("a1", "a1.ome", None),
        (unicodedata.normalize("NFC", "Zélle1"), unicodedata.normalize("NFD", "Zélle1"), "the Unicode form"),
        ("Cell1", "cell1", "upper and lower case"),
        ("a001", "a1", "leading zeros"),
        ("a1", "a0001", "leading zeros"),
        ("a1", "a1_mask", "what is added"),
        ("a1", "a1-Labels", "what is added"),
        ("a1", "a1_cp_masks", "what is added"),
        ("a1_img", "a1_masks", "what is added"),
        ("a1", "a1_Simple Segmentation", "what is added"),
        ("t001", "man_seg001", "what is added"),
        ("img_01", "mask_01", "what is added"),
        ("frame_00", "frame_00_mask", "what is added"),
        ("t000", "t000_cp_masks", "what is added"),
        ("pos0_raw", "pos0_raw_mask", "what is added"),
        ("cell_0000", "cell_0000_mask", "what is added"),
        ("cell_0000", "cell_0", "leading zeros"),
        ("frame_007", "frame_7_mask", "leading zeros"),
        ("img_01", "mask_1", "leading zeros"),
    ],
)
def test_names_that_belong_together(find: Callable[..., Sources], image: str, mask: str, differ: str | None) -> None:
    sources = find([f"{image}.tif", "z9.png"], [f"{mask}.tif", "z9.png"])
    assert [each and each.path.name for each in sources.masks] == [f"{mask}.tif", "z9.png"]
    assert sources.images[0].key == image.removesuffix(".ome")
    if differ is None:
        assert sources.notices == []
    else:
        (notice,) = sources.notices
        assert notice.startswith(f"1 of the masks were matched to images whose names differ only in {differ}")
        assert f"{mask}.tif of {image}.tif" in notice


def test_the_first_channel_of_nnunet_is_no_part_of_the_name(find: Callable[..., Sources]) -> None:
    sources = find(["a_001_0000.png", "a_002_0000.png"], ["a_001.png", "a_002.png"])
    assert names(sources) == {"a_001_0000": "a_001.png", "a_002_0000": "a_002.png"}


def test_a_series_from_zero_has_no_channels(find: Callable[..., Sources]) -> None:
    with pytest.raises(DataError, match=r"s_mask\.png has no image of that name"):
        find(["s_0000.png", "s_0001.png"], ["s_0001.png", "s_mask.png"])


def test_the_same_name_wins_over_a_similar_one(find: Callable[..., Sources]) -> None:
    sources = find(["a1.png", "a01.png", "A1.png"], ["a01.png", "A1.png"])
    assert names(sources) == {"A1": "A1.png", "a1": None, "a01": "a01.png"}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        (["a01.png", "a1.png"], ["a001.png"]),
        (["a1.png"], ["a1_mask.png", "a1_label.png"]),
        (["x_img.png", "x_raw.png"], ["x_seg.png"]),
    ],
)
def test_what_may_belong_to_two_is_refused(find: Callable[..., Sources], images: list[str], masks: list[str]) -> None:
    with pytest.raises(DataError, match=r"may belong to .* and to .*: their names differ only in .*; rename one"):
        find(images, masks)


def test_a_suffix_of_ones_own(find: Callable[..., Sources]) -> None:
    sources = find(["a1.png", "a2.png"], ["a1_nuc.png", "a2_nuc.png", "a2.png"], mask_suffix="_nuc")
    assert names(sources) == {"a1": "a1_nuc.png", "a2": "a2_nuc.png"}
    assert sources.left_out == 1
    assert "1 file without the suffix _nuc, 'a2.png'" in sources.notices[0]


def test_a_suffix_that_nothing_has(find: Callable[..., Sources]) -> None:
    with pytest.raises(DataError, match=r"--mask-suffix '_nuc': no name in .*masks ends so"):
        find(["a1.png"], ["a1.png"], mask_suffix="_nuc")


def test_one_folder_for_both_needs_a_suffix(folder: Folder) -> None:
    both = folder("both", {f"{name}.png": PLANE for name in ("a1", "a1_mask", "a2", "a2_mask", "a3")})
    for other in (both, both / ".", both.parent / "link"):
        if other.name == "link":
            other.symlink_to(both)
        with pytest.raises(DataError, match=r"is given for masks and for images: .* --mask-suffix=_mask"):
            find_sources(both, other, None)
    sources = find_sources(both, both, None, mask_suffix="_mask")
    assert names(sources) == {"a1": "a1_mask.png", "a2": "a2_mask.png", "a3": None}
    assert sources.notices == []


def test_one_folder_for_masks_and_truth_is_refused(folder: Folder) -> None:
    images, masks = folder("images", {"a1.png": PLANE}), folder("masks", {"a1.png": PLANE, "a1_full.png": PLANE})
    with pytest.raises(DataError, match="is given for masks and for truth"):
        find_sources(images, masks, masks)


def test_one_stack_for_both_is_refused(folder: Folder) -> None:
    both = folder("both", {"s.tif": np.stack([PLANE] * 3)}) / "s.tif"
    with pytest.raises(DataError, match=r"s\.tif is given for masks and for images"):
        find_sources(both, both, None)


# pages


def test_pages_count_from_one_as_messages_count_them(find: Callable[..., Sources]) -> None:
    sources = find([("s.tif", 12)], [("s.tif", 12)])
    assert names(sources)["s:01"] == "s.tif 0"
    assert str(sources.images[0]).endswith("s.tif (page 1)")


@pytest.mark.parametrize("name", ["{}", "{:03d}", "s_{}", "s{:02d}", "mask_{}", "s_page{}", "s_{}_mask"])
def test_numbered_masks_belong_to_the_pages_of_a_stack(folder: Folder, name: str) -> None:
    stack = folder("stack", {"s.tif": np.stack([PLANE] * 12)}) / "s.tif"
    masks = folder("masks", {f"{name.format(page)}.png": PLANE for page in (1, 2, 11)})
    sources = find_sources(stack, masks, None)
    given = {image.page: mask.path.stem for image, mask in zip(sources.images, sources.masks, strict=True) if mask}
    assert given == {page - 1: name.format(page) for page in (1, 2, 11)}
    (notice,) = sources.notices
    assert notice.startswith(f"the masks count from 1: {name.format(1)}.png was taken for page 1 (counted from 0")


def test_numbers_from_zero_are_told(folder: Folder) -> None:
    stack = folder("stack", {"s.tif": np.stack([PLANE] * 3)}) / "s.tif"
    sources = find_sources(stack, folder("masks", {f"{page}.png": PLANE for page in range(3)}), None)
    assert [mask and mask.path.stem for mask in sources.masks] == ["0", "1", "2"]
    assert sources.notices == ["the masks count from 0: 0.png was taken for page 1"]


def test_a_mask_of_the_last_page_settles_how_they_count(folder: Folder) -> None:
    stack = folder("stack", {"s.tif": np.stack([PLANE] * 12)}) / "s.tif"
    sources = find_sources(stack, folder("masks", {f"{page}.png": PLANE for page in (5, 12)}), None)
    assert sources.notices == ["the masks count from 1: 5.png was taken for page 5"]


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        (["0", "1", "2", "3"], "3.png has no page: .* has 3, and they count from 0"),
        (["1", "4"], "4.png has no page: .* has 3, and they count from 1"),
        (["1", "01"], "have the same number of a page"),
        (["1", "other"], "other.png has no number of a page .* name masks by the pages, from 1, e.g. s_1"),
    ],
)
def test_numbers_that_are_no_pages(folder: Folder, masks: list[str], said: str) -> None:
    stack = folder("stack", {"s.tif": np.stack([PLANE] * 3)}) / "s.tif"
    with pytest.raises(DataError, match=said):
        find_sources(stack, folder("masks", {f"{name}.png": PLANE for name in masks}), None)


def test_a_stack_of_masks_for_a_folder_of_images(folder: Folder) -> None:
    images = folder("images", {f"f{index}.png": PLANE for index in (2, 10, 1)})
    masks = folder("masks", {"all.tif": np.stack([PLANE] * 3), "few.tif": np.stack([PLANE] * 2)})
    sources = find_sources(images, masks / "all.tif", None)
    assert names(sources) == {"f1": "all.tif 0", "f2": "all.tif 1", "f10": "all.tif 2"}
    assert sources.notices[0].endswith("in the order of their names: page 1 for f1")
    with pytest.raises(DataError, match=r"few\.tif has 2 masks for the 3 images of"):
        find_sources(images, masks / "few.tif", None)


def test_stacks_pair_by_suffix_too(find: Callable[..., Sources]) -> None:
    sources = find([("a.tif", 2), ("b.tif", 3)], [("a_mask.tif", 2), ("b_mask.tif", 3)])
    assert names(sources)["b:3"] == "b_mask.tif 2"


def test_a_stack_of_fewer_masks_under_another_name(find: Callable[..., Sources]) -> None:
    with pytest.raises(DataError, match=r"a_mask\.tif has 2 masks for the 3 pages of .*a\.tif"):
        find([("a.tif", 3)], [("a_mask.tif", 2)])


# what is left out


def test_what_is_left_out_is_told_with_numbers_and_the_first_name(folder: Folder) -> None:
    images, masks = folder("images", {"a1.png": PLANE}), folder("masks", {"a1.png": PLANE})
    for name in ("b2.jpg", "b10.jpg", "notes", "._a1.png", ".DS_Store", "Thumbs.db"):
        (images / name).touch()
    (images / "pos1").mkdir()
    (images / "gone.png").symlink_to("nowhere")
    sources = find_sources(images, masks, None)
    told = "\n".join(sources.notices)
    assert sources.left_out == 6
    for part in (
        "2 files ending in .jpg, the first is 'b2.jpg'",
        "1 file without an ending, 'notes'",
        "1 file whose name begins with a dot, '._a1.png'",
        "1 folder, 'pos1'",
        "1 link to nothing, 'gone.png'",
    ):
        assert f"left out of the images in {images}: {part}" in told


def test_masks_in_a_folder_of_the_images_are_not_left_out(folder: Folder) -> None:
    images = folder("images", {"a1.png": PLANE})
    masks = folder("images/masks", {"a1.png": PLANE})
    sources = find_sources(images, masks, None)
    assert (sources.left_out, sources.notices) == (0, [])


def test_a_folder_of_folders_says_so(folder: Folder) -> None:
    images, masks = folder("images", {}), folder("masks", {"a1.png": PLANE})
    folder("images/pos1", {"a1.png": PLANE})
    with pytest.raises(
        DataError, match=r"it holds 1 folder, 'pos1' \(give the folder that holds the pictures itself\)"
    ):
        find_sources(images, masks, None)


def test_the_image_of_a_mask_that_was_left_out_is_named(folder: Folder) -> None:
    images, masks = folder("images", {"a1.png": PLANE}), folder("masks", {"a1.png": PLANE, "a2.png": PLANE})
    (images / "a2.jpg").touch()
    with pytest.raises(DataError, match=r"a2\.png has no image .*a2\.jpg is left out of the images: convert it"):
        find_sources(images, masks, None)


def test_names_that_are_not_utf8_are_refused_before_the_work(folder: Folder) -> None:
    images, masks = folder("images", {"a1.png": PLANE}), folder("masks", {"a1.png": PLANE})
    (images / "a1.png").rename(os.fsdecode(os.fsencode(images) + b"/Z\xe9lle.png"))
    with pytest.raises(DataError, match=r"Z\\xe9lle\.png is not UTF-8.*convmv") as caught:
        find_sources(images, masks, None)
    str(caught.value).encode()


def test_endings_of_bigtiff(folder: Folder, tmp_path: Path) -> None:
    images, masks = folder("images", {}), folder("masks", {"a1.png": PLANE})
    tifffile.imwrite(images / "a1.btf", PLANE, bigtiff=True)
    assert names(find_sources(images, masks, None)) == {"a1": "a1.png"}
