"""Finds the image, the mask and the truth of every frame, and says what it made of the folders."""

from dataclasses import dataclass, replace
from pathlib import Path

from cellab.data.folders import Found, look_into
from cellab.data.images import Picture
from cellab.data.pairing import pair
from cellab.errors import DataError


@dataclass(frozen=True)
class Sources:
    """The pictures of each frame.

    Args:
        images: one a frame.
        masks: one a frame or None.
        truth: one a frame, or None a frame where there is no truth at all.
        left_out: how many files and folders are neither.
        notices: what was left out, and how names were paired that are not the same.
    """

    images: list[Picture]
    masks: list[Picture | None]
    truth: list[Picture | None]
    left_out: int
    notices: list[str]


def find_sources(
    images: Path,
    masks: Path,
    truth: Path | None,
    *,
    mask_suffix: str | None = None,
    truth_suffix: str | None = None,
) -> Sources:
    """Finds the pictures and pairs them by their names.

    Args:
        images: a folder, or one TIFF.
        masks: likewise.
        truth: likewise; every frame needs one.
        mask_suffix: what masks' names have after the images'; None: nothing, or a common word.
        truth_suffix: likewise, of truth.

    Raises:
        DataError: nothing is there, names do not pair, truth is not complete, or one folder is given for two things
            without a suffix that tells them apart.
    """
    given = {"images": images, "masks": masks} | ({"truth": truth} if truth else {})
    found = {what: look_into(place, what, _others(given, what)) for what, place in given.items()}
    _tell_apart(found, {"masks": mask_suffix, "truth": truth_suffix})
    pairs = pair(found["images"], found["masks"], "mask", mask_suffix)
    frames = found["images"].pictures
    notices = [notice for what, each in found.items() for notice in each.notices(what)]
    left_out = sum(each.files_left_out for each in found.values())
    if truth is None:
        return Sources(frames, pairs.masks, [None] * len(frames), left_out, [*notices, *pairs.notices])
    known = pair(found["images"], found["truth"], "truth", truth_suffix)
    if missing := [str(image) for image, picture in zip(frames, known.masks, strict=True) if picture is None]:
        raise DataError(
            f"{len(missing)} frames have no truth in {truth}, the first is {missing[0]}: truth is complete or absent."
        )
    return Sources(frames, pairs.masks, known.masks, left_out, [*notices, *pairs.notices, *known.notices])


def _others(given: dict[str, Path], what: str) -> list[Path]:
    return [place for other, place in given.items() if other != what]


def _tell_apart(found: dict[str, Found], suffixes: dict[str, str | None]) -> None:
    """Of one folder that was given for several things each keeps what its suffix says; the images the rest.

    Raises:
        DataError: there is no such suffix, or nothing has it.
    """
    for what, suffix in suffixes.items():
        if what not in found:
            continue
        others = [other for other in found if other != what and _is_same(found[other].place, found[what].place)]
        if others and not suffix:
            raise DataError(
                f"{found[what].place} is given for {what} and for {others[0]}: give each its own, or say what the "
                f"names of {what} end in, e.g. --{_option(what)}-suffix=_{_option(what)}."
            )
        if suffix:
            _keep(found, what, suffix, from_images="images" in others)


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _option(what: str) -> str:
    return what.removesuffix("s") if what == "masks" else what


def _keep(found: dict[str, Found], what: str, suffix: str, from_images: bool) -> None:
    having = [picture for picture in found[what].pictures if picture.stem.endswith(suffix)]
    others = [picture.path.name for picture in found[what].pictures if not picture.stem.endswith(suffix)]
    if not having:
        raise DataError(f"--{_option(what)}-suffix {suffix!r}: no name in {found[what].place} ends so.")
    left_out = found[what].left_out if not from_images else {}  # else told of the images already
    if others and not from_images:
        left_out = {**left_out, f"file without the suffix {suffix}": list(dict.fromkeys(others))}
    found[what] = replace(found[what], pictures=having, left_out=left_out)
    if from_images:
        kept = [picture for picture in found["images"].pictures if not picture.stem.endswith(suffix)]
        if not kept:
            raise DataError(f"all names in {found['images'].place} end in {suffix}, and none is left for the images.")
        found["images"] = replace(found["images"], pictures=kept)
