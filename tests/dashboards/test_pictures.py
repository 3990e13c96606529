"""The report's pictures: whose they are, what their colours mean, and how large they get."""

import base64
import io

import h5py
import numpy as np
import pytest
from PIL import Image

from cellab_dashboards.generated import generated
from cellab_dashboards.overlays import AGREES, EXCEEDS, MISSES, TINTS, UNCOVERS, agreement, dice, overlays
from cellab_dashboards.pictures import LONGEST, black_and_white, grey, tinted
from cellab_dashboards.study_files import read_study


def decoded(url):
    head, content = url.split(",", 1)
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def mask(rows):
    return np.array(rows, bool)


def test_agreement_with_the_truth_tells_four_classes_apart():
    output, given, truth = mask([[1, 1, 1, 0, 0]]), mask([[1, 0, 0, 1, 0]]), mask([[1, 1, 0, 1, 0]])
    assert agreement(output, given, truth).tolist() == [[AGREES, UNCOVERS, EXCEEDS, MISSES, 0]]
    assert agreement(output, given, None).tolist() == [[AGREES, EXCEEDS, EXCEEDS, MISSES, 0]]


def test_dice_of_masks():
    assert dice(mask([[1, 1, 0]]), mask([[1, 0, 0]])) == pytest.approx(2 / 3)
    assert dice(mask([[0, 0]]), mask([[0, 0]])) == 1


def test_tints_are_those_of_the_legend():
    picture = tinted(np.arange(5, dtype=np.uint8)[None], TINTS, {EXCEEDS, MISSES}).convert("RGBA")
    pixels = [picture.getpixel((x, 0)) for x in range(5)]
    assert pixels[0][3] == 0
    assert [pixel[:3] for pixel in pixels[1:]] == TINTS
    assert all(0 < pixel[3] < 255 for pixel in pixels[1:])


@pytest.mark.parametrize("size", [(1, 1), (90, 40), (2000, 1500), (400, 1600)])
def test_pictures_are_no_larger_than_the_report_needs(size):
    pixels = np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)
    for picture in (grey(pixels), black_and_white(pixels > 99), tinted(pixels % 5, TINTS, set())):
        assert max(picture.size) == min(max(size), LONGEST)
        assert picture.width / picture.height == pytest.approx(size[1] / size[0], rel=0.01)


def test_outputs_of_every_arm_generation_and_seed_can_be_chosen(fabricate):
    folder = fabricate(arms=("gan_loss=ns_gp", "gan_loss=wgan,unet.width=8"), frames=5, frame_size=(24, 32))
    study = read_study(folder)
    found = overlays(study)
    assert found["views"][0]["keys"] == {"arm": "gan_loss=ns_gp", "generation": "2", "seed": "0"}
    assert len(found["views"]) == 2 * 3 * 3
    assert found["menus"]["generation"] == ["0", "1", "2"]
    for view in found["views"]:
        splits = [frame["split"] for frame in view["frames"]]
        assert splits == ["test"] * 3 + ["train"] * 3
        assert all(frame["name"] == f"section {int(frame['frame']):04d}" for frame in view["frames"])


def test_panels_show_what_was_stored(fabricate):
    study = read_study(fabricate(seeds=(0,), frame_size=(64, 80)))
    found = overlays(study)
    frame = found["views"][0]["frames"][0]
    with h5py.File(study.folder.images) as file:
        group = file[f"overlays/gan_loss%3Dns_gp/0/2/test/{frame['frame']}"]
        stored = {name: group[name][:] for name in ("given", "probability", "truth")}
    panels = {name: np.array(decoded(found["images"][frame[name]])) for name in ("given", "output", "truth")}
    assert np.array_equal(panels["given"], stored["given"] > 0)
    assert np.array_equal(panels["truth"], stored["truth"] > 0)
    assert np.array_equal(panels["output"], stored["probability"] >= 128)
    assert frame["note"].startswith(f"Dice {dice(panels['output'], panels['truth']):.3f} against the truth")


def test_the_same_picture_is_kept_once(fabricate):
    found = overlays(read_study(fabricate(frame_size=(24, 32))))
    images = {frame["image"] for view in found["views"] for frame in view["frames"]}
    assert len(images) == 2  # a frame of test, a frame of train
    assert len(set(found["images"])) == len(found["images"])


def test_without_truth_there_is_no_truth_panel(fabricate):
    found = overlays(read_study(fabricate(truth=False, frame_size=(24, 32))))
    assert not found["truth"]
    assert {frame["truth"] for view in found["views"] for frame in view["frames"]} == {None}
    assert all("truth" not in frame["note"] for view in found["views"] for frame in view["frames"])


def test_a_large_study_keeps_a_reasonable_file(fabricate):
    arms = tuple(f"unet.width={i}" for i in range(12))
    study = read_study(fabricate(arms=arms, seeds=(0, 1, 2), frames=3, gan=False, frame_size=(8, 8)))
    found = overlays(study)
    assert found["menus"]["arm"] == [arm.arm for arm in study.arms]
    assert found["menus"]["seed"] == ["0"]
    assert "first seed" in found["left_out"]


def test_generated_images_stand_beside_real_ones(fabricate):
    diverged = frozenset({("gan_loss=wgan", seed) for seed in (0, 1, 2)})
    found = generated(read_study(fabricate(diverged=diverged)))
    assert decoded(found["real"]).size == decoded(found["grids"][0]["url"]).size
    assert [(grid["arms"], grid["seed"]) for grid in found["grids"]] == [(["gan_loss=ns_gp"], s) for s in (0, 1, 2)]
    assert found["without"] == ["gan_loss=wgan"]


def test_arms_that_share_a_generator_share_a_grid(fabricate):
    folder = fabricate(arms=("unet.width=8", "unet.width=16"), seeds=(0,))
    with h5py.File(folder / "images.h5", "r+") as file:
        file["generated/unet.width%3D16/0"][:] = file["generated/unet.width%3D8/0"][:]
    (grid,) = generated(read_study(folder))["grids"]
    assert set(grid["arms"]) == {"unet.width=8", "unet.width=16"}


def test_without_a_gan_there_are_no_grids(fabricate):
    found = generated(read_study(fabricate(gan=False)))
    assert found["grids"] == []
    assert found["real"] is None
