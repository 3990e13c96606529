"""The colours of a report, which colour-blind readers tell apart."""

from cellab_dashboards.study_files import StudyFiles

# Okabe and Ito (2008), "Color Universal Design", without black (the baseline's) and yellow (too faint on white)
BASELINE = "#2b2f33"
ARMS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
DASHES = ("solid", "dash", "dot", "dashdot")  # when the colours have run out

# Pixels of an output over an image
AGREED, UNCOVERED, EXTRA, MISSED = (0, 158, 115), (86, 180, 233), (240, 160, 0), (213, 50, 130)


def arm_colours(study: StudyFiles) -> dict[str, str]:
    """One colour an arm, the same everywhere and in every report of the same arms."""
    return {arm: BASELINE if place is None else ARMS[place % len(ARMS)] for arm, place in _places(study).items()}


def arm_dashes(study: StudyFiles) -> dict[str, str]:
    """One dash pattern an arm: more than one pattern only where arms outnumber the colours."""
    places = _places(study)
    return {arm: DASHES[(place or 0) // len(ARMS) % len(DASHES)] for arm, place in places.items()}


def swatches(study: StudyFiles) -> dict[str, str]:
    """One CSS declaration an arm for a small square in its colour; a hollow one where its line is dashed."""
    dashes = arm_dashes(study)
    return {
        arm: f"background: {colour}" if dashes[arm] == "solid" else f"box-shadow: inset 0 0 0 2px {colour}"
        for arm, colour in arm_colours(study).items()
    }


def _places(study: StudyFiles) -> dict[str, int | None]:
    others = sorted(arm.arm for arm in study.arms if arm.arm != study.baseline)
    return {study.baseline: None, **{arm: place for place, arm in enumerate(others)}}


def css(colour: tuple[int, int, int]) -> str:
    """``"rgb(0, 158, 115)"``."""
    return f"rgb{colour}"
