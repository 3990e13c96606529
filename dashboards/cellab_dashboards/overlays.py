"""Outputs on whole frames: image, given mask, output, output over image, truth (the paper's figures 13 to 16)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypedDict

import h5py
import numpy as np

from cellab.study_files import folder as files
from cellab_dashboards.colours import AGREED, EXTRA, MISSED, UNCOVERED
from cellab_dashboards.pictures import Album, Mask, Pixels, black_and_white, grey, tinted
from cellab_dashboards.study_files import StudyFiles

PREFERRED_SPLITS = ("test", "train")
PER_SPLIT = 3
MOST_PICTURES = 450  # of outputs; where there are more, seeds and then generations between are left out
HALF = 128  # of 255: a probability from here on is positive

AGREES, UNCOVERS, EXCEEDS, MISSES = 1, 2, 3, 4
TINTS = [AGREED, UNCOVERED, EXTRA, MISSED]


@dataclass(frozen=True)
class Choice:
    """One arm, seed and generation of which there are outputs."""

    arm: str
    seed: int
    generation: int

    @property
    def group(self) -> str:
        """Its path in `images.h5`."""
        return f"{files.overlays(self.arm)}/{self.seed}/{self.generation}"


class Panels(TypedDict):
    """The pictures of a frame, by their numbers, and what is said below them."""

    image: int
    given: int
    output: int
    over: int
    truth: int | None
    note: str


class Frame(Panels):
    """Which frame it is, besides."""

    split: str
    frame: str
    name: str


class View(TypedDict):
    """What is shown of a choice of arm, generation and seed."""

    keys: dict[str, str]
    frames: list[Frame]


class Overlays(TypedDict):
    """The outputs of a study.

    `images` are data URLs, each once; `views` begin with the baseline's last generation; `menus` say what each key may
    be; `truth` whether there is any; `left_out` is a sentence, or None.
    """

    images: list[str]
    views: list[View]
    menus: dict[str, list[str]]
    truth: bool
    left_out: str | None


def overlays(study: StudyFiles) -> Overlays:
    """The outputs of every arm, generation and seed, as far as the page stays reasonably small."""
    album = Album()
    with study.open_images() as file:
        every = list(_choices(study, file))
        shown, left_out = _few(every, PER_SPLIT * len(PREFERRED_SPLITS))
        views: list[View] = [
            {
                "keys": {"arm": choice.arm, "generation": str(choice.generation), "seed": str(choice.seed)},
                "frames": list(_frames(file[choice.group], album)),
            }
            for choice in sorted(shown, key=lambda choice: _place(study, choice))
        ]
    filled = [view for view in views if view["frames"]]
    truth = any(frame["truth"] is not None for view in filled for frame in view["frames"])
    return {"images": album.urls, "views": filled, "menus": _menus(study, filled), "truth": truth, "left_out": left_out}


def _menus(study: StudyFiles, views: list[View]) -> dict[str, list[str]]:
    arms = [arm.arm for arm in study.arms]
    offered = {name: {view["keys"][name] for view in views} for name in ("arm", "generation", "seed")}
    orders: dict[str, Callable[[str], int]] = {"arm": arms.index, "generation": int, "seed": int}
    return {name: sorted(values, key=orders[name]) for name, values in offered.items()}


def _choices(study: StudyFiles, file: h5py.File) -> Iterator[Choice]:
    for arm in study.arms:
        for seed, generations in file.get(files.overlays(arm.arm), {}).items():
            yield from (Choice(arm.arm, int(seed), int(generation)) for generation in generations)


def _place(study: StudyFiles, choice: Choice) -> tuple[bool, int, int, int]:
    order = [arm.arm for arm in study.arms]
    return choice.arm != study.baseline, order.index(choice.arm), -choice.generation, choice.seed


def _few(choices: list[Choice], frames: int) -> tuple[list[Choice], str | None]:
    """All choices, or those of first seeds, or their first and last generations; and what was left out."""
    if len(choices) * frames <= MOST_PICTURES:
        return choices, None
    first = {arm: min(c.seed for c in choices if c.arm == arm) for arm in {c.arm for c in choices}}
    choices = [choice for choice in choices if choice.seed == first[choice.arm]]
    if len(choices) * frames <= MOST_PICTURES:
        return choices, "To keep this file small, outputs are those of each arm's first seed."
    numbers = {arm: [c.generation for c in choices if c.arm == arm] for arm in first}
    choices = [c for c in choices if c.generation in (min(numbers[c.arm]), max(numbers[c.arm]))]
    return choices, "To keep this file small, outputs are those of each arm's first seed, first and last generation."


def _frames(group: h5py.Group, album: Album) -> Iterator[Frame]:
    splits = [split for split in PREFERRED_SPLITS if split in group] or list(group)
    for split in splits:
        numbers = sorted(group[split], key=int)
        for place in sorted(set(np.linspace(0, len(numbers) - 1, min(PER_SPLIT, len(numbers))).round().astype(int))):
            frame = group[split][numbers[place]]
            yield {"split": split, "frame": numbers[place], "name": str(frame.attrs["name"]), **_panels(frame, album)}


def _panels(frame: h5py.Group, album: Album) -> Panels:
    image, given, output = frame["image"][:], frame["given"][:] > 0, frame["probability"][:] >= HALF
    truth = frame["truth"][:] > 0 if "truth" in frame else None
    classes = agreement(output, given, truth)
    return {
        "image": album.add(grey(image)),
        "given": album.add(black_and_white(given)),
        "output": album.add(black_and_white(output)),
        "over": album.add(tinted(classes, TINTS, {EXCEEDS, MISSES})),
        "truth": None if truth is None else album.add(black_and_white(truth)),
        "note": _note(output, given, truth),
    }


def agreement(output: Mask, given: Mask, truth: Mask | None) -> Pixels:
    """What each pixel (H, W) of an output is, uint8: 0 rightly empty, or one of four classes.

    Against the truth where there is one (then a rightly found pixel that the given mask lacks is `UNCOVERS`), else
    against the given mask.
    """
    reference = given if truth is None else truth
    classes = np.zeros(output.shape, np.uint8)
    classes[output & reference] = AGREES
    classes[output & reference & ~given] = UNCOVERS
    classes[output & ~reference] = EXCEEDS
    classes[~output & reference] = MISSES
    return classes


def _note(output: Mask, given: Mask, truth: Mask | None) -> str:
    if truth is None:
        return f"Dice {dice(output, given):.3f} against the given mask"
    note = f"Dice {dice(output, truth):.3f} against the truth, {dice(output, given):.3f} against the given mask"
    hidden = truth & ~given
    if hidden.any():
        note += f"; of what the given mask hides, {(output & hidden).sum() / hidden.sum():.0%} is found"
    return note


def dice(output: Mask, reference: Mask) -> float:
    """2 |A and B| / (|A| + |B|); 1 where both are empty."""
    either = int(output.sum()) + int(reference.sum())
    return 2 * int((output & reference).sum()) / either if either else 1.0
