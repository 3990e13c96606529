"""Finds the mask of each image by their names: the same, or the same but for what people and programs add to them."""

import difflib
import functools
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cellab.data.folders import Found
from cellab.data.images import Picture
from cellab.errors import DataError

Key = tuple[str, int | None]  # stem and page

MASK = (
    r"masks?|cp[ _-]masks|label(?:l?ed|s)?|seg|segmentation|gt|ground[ _-]?truth|truth|annotations?|instances?|binary"
    r"|bw|simple[ _-]segmentation|object[ _-]identities|man[ _-]seg|man[ _-]track"
)
IMAGE = r"images?|img|im|raw|frame|t"
FIRST_CHANNEL = "_0000"  # of nnU-Net, if every image's name ends so

Form = Callable[[str], str]


def _without(words: str) -> Form:
    """Takes a word off the end of a name, or off its beginning where a number follows."""
    ends = re.compile(rf"[ _.-]+(?:{words})$", re.IGNORECASE)
    begins = re.compile(rf"^(?:{words})[ _.-]*(?=\d)", re.IGNORECASE)
    return lambda name: begins.sub("", ends.sub("", name)) or name


def _as_it_is(name: str) -> str:
    return name


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    return _composed(name).casefold()


def _numbered(name: str) -> str:
    """Without leading zeros."""
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), name)


def _then(*forms: Form) -> Form:
    return lambda name: functools.reduce(lambda made, form: form(made), forms, name)


@dataclass(frozen=True)
class Rule:
    """One way in which names may differ; a mask and an image pair where both forms are the same.

    Args:
        differ: how, as the end of «whose names differ only in».
        image: the form of an image's name.
        mask: the form of a mask's name.
    """

    differ: str
    image: Form
    mask: Form


bare_mask, bare_image = _without(MASK), _without(IMAGE)
ADDED, ZEROS = "what is added to them", "leading zeros"


def _bare(suffix: str | None) -> Form:
    """Takes off a mask's name what it has after its image's: a suffix, or a common word."""
    return bare_mask if suffix is None else (lambda name: name.removesuffix(suffix))


def _rules(suffix: str | None, has_channels: bool) -> tuple[Rule, ...]:
    """Each is tried on what those before it left over.

    Args:
        suffix: of masks; None: nothing, or a common word.
        has_channels: whether every image's name ends in `FIRST_CHANNEL`.
    """
    image: Form = (lambda name: name.removesuffix(FIRST_CHANNEL)) if has_channels else _as_it_is
    if suffix is not None:
        own = _bare(suffix)
        return (
            Rule("the suffix", _as_it_is, own),
            Rule("the Unicode form of their letters", _composed, _then(own, _composed)),
            Rule("upper and lower case", _folded, _then(own, _folded)),
            Rule(ZEROS, _then(_folded, _numbered), _then(own, _folded, _numbered)),
        )
    stripped = ((_folded, _then(_folded, bare_mask)), (_then(_folded, image, bare_image), _then(_folded, bare_mask)))
    return (
        Rule("nothing", _as_it_is, _as_it_is),
        Rule("the Unicode form of their letters", _composed, _composed),
        Rule("upper and lower case", _folded, _folded),
        *(Rule(ADDED, of_image, of_mask) for of_image, of_mask in stripped),
        Rule(ZEROS, _then(_folded, _numbered), _then(_folded, _numbered)),
        *(Rule(ZEROS, _then(of_image, _numbered), _then(of_mask, _numbered)) for of_image, of_mask in stripped),
    )


@dataclass
class Pairs:
    """The masks of images.

    Args:
        masks: of each image, None where it has none.
        notices: how they were found, where their names are not the same.
    """

    masks: list[Picture | None]
    notices: list[str] = field(default_factory=list)


def pair(images: Found, masks: Found, what: str, suffix: str | None = None) -> Pairs:
    """Finds the mask of each image.

    Args:
        images: of all frames.
        masks: each must have an image.
        what: for messages: ``"mask"`` or ``"truth"``.
        suffix: what masks' names have after the images'; None: nothing, or a common word.

    Raises:
        DataError: a mask has no image or may have several, or a stack has another number of masks than pages.
    """
    if masks.is_file or (len(images.pictures) > 1 and images.is_file and not _has_stack_for(images, masks, suffix)):
        return _by_number(images, masks, what)
    _check_counts(images, masks, what, suffix)
    search = _Search(images.pictures, masks.pictures, what)
    has_channels = all(image.stem.endswith(FIRST_CHANNEL) for image in images.pictures)
    for number, rule in enumerate(_rules(suffix, has_channels)):
        search.apply(rule, quietly=number == 0)
    if search.masks:
        raise DataError(_lost(search, images, what))
    return Pairs([search.found.get(id(image)) for image in images.pictures], search.notices)


class _Search:
    """Images and masks that have not found each other yet."""

    def __init__(self, images: list[Picture], masks: list[Picture], what: str) -> None:
        self.images, self.masks, self.what = images, masks, what
        self.found: dict[int, Picture] = {}  # by the image's identity
        self.notices: list[str] = []

    def apply(self, rule: Rule, quietly: bool) -> None:
        """Pairs those whose forms are the same."""
        images: dict[Key, list[Picture]] = defaultdict(list)
        masks: dict[Key, list[Picture]] = defaultdict(list)
        for picture in self.images:
            images[rule.image(picture.stem), picture.page].append(picture)
        for picture in self.masks:
            masks[rule.mask(picture.stem), picture.page].append(picture)
        both = [key for key in masks if key in images]
        for key in both:
            for one, several in ((masks[key], images[key]), (images[key], masks[key])):
                if len(several) > 1:
                    raise DataError(
                        f"{one[0]} may belong to {several[0]} and to {several[1]}: their names differ only in "
                        f"{rule.differ}; rename one of them."
                    )
        paired = [(images[key][0], masks[key][0]) for key in both]
        if paired and not quietly:
            image, mask = paired[0]
            self.notices.append(
                f"{len(paired)} of the {plural(self.what)} were matched to images whose names differ only in "
                f"{rule.differ}: the first is {mask.path.name} of {image.path.name}"
            )
        self.found |= {id(image): mask for image, mask in paired}
        taken = {id(mask) for _, mask in paired}
        self.images = [image for image in self.images if id(image) not in self.found]
        self.masks = [mask for mask in self.masks if id(mask) not in taken]


def plural(what: str) -> str:
    """``"masks"``; of truth there is no plural."""
    return what if what == "truth" else f"{what}s"


def _has_stack_for(images: Found, masks: Found, suffix: str | None) -> bool:
    """Whether a folder holds the stack of masks for a stack of images."""
    stems = {mask.stem for mask in masks.pictures if mask.page is not None}
    ways = (_bare(suffix), _as_it_is) if suffix is None else (_bare(suffix),)
    return any(way(stem) == images.pictures[0].stem for stem in stems for way in ways)


def _by_number(images: Found, masks: Found, what: str) -> Pairs:
    """Pages have only their numbers, which count from 1: those of two stacks, or of one and numbered files."""
    if masks.is_file or {mask.path for mask in masks.pictures if mask.page} == {masks.pictures[0].path}:
        whose = "pages" if images.is_file else "images"
        if len(images.pictures) != len(masks.pictures):
            counted = f"{len(images.pictures)} {whose}"
            raise DataError(_other_count(images.place, counted, masks.pictures[0].path, len(masks.pictures), what))
        pairs = Pairs(list(masks.pictures))
        if not images.is_file and len(images.pictures) > 1:
            pairs.notices.append(
                f"the pages of {masks.place} were taken for the images in the order of their names: page 1 for "
                f"{images.pictures[0].key}"
            )
        return pairs
    stem, count = images.pictures[0].stem, len(images.pictures)
    by_number: dict[int, Picture] = {}
    for mask in masks.pictures:
        number = _number(mask.stem, stem)
        if number is None or mask.page is not None:
            raise DataError(
                f"{what} {mask} has no number of a page of {images.place}: name {plural(what)} by the pages, from 1, "
                f"e.g. {stem}_1."
            )
        other = by_number.setdefault(number, mask)
        if other is not mask:
            raise DataError(f"{what} {other} and {mask} have the same number of a page: keep one of them.")
    first = 0 if 0 in by_number else 1
    if lost := sorted(set(by_number) - set(range(first, first + count))):
        raise DataError(
            f"{what} {by_number[lost[0]]} has no page: {images.place} has {count}, and they count from {first}."
        )
    lowest = min(by_number)
    both_fit = first and first + count - 1 not in by_number
    notices = [
        f"the {plural(what)} count from {first}: {by_number[lowest].path.name} was taken for page {lowest - first + 1}"
        + (" (counted from 0 they would fit too: add one for the last page if they do)" if both_fit else "")
    ]
    return Pairs([by_number.get(page + first) for page in range(count)], notices)


def _number(name: str, stack: str) -> int | None:
    """The number of a page in a name: all of it, or what follows the stack's name or a common word."""
    rest = bare_mask(name.removeprefix(stack).strip(" _.:-") if name.startswith(stack) else name)
    digits = re.fullmatch(r"(?:page|slice|frame|z|t)?[ _.-]*(\d+)", rest, re.IGNORECASE)
    return int(digits[1]) if digits else None


def _check_counts(images: Found, masks: Found, what: str, suffix: str | None) -> None:
    """In folders too, a stack has as many masks as pages."""
    counts = Counter((image.path, image.stem) for image in images.pictures if image.page is not None)
    way = _bare(suffix)
    for (path, stem), count in Counter((mask.path, mask.stem) for mask in masks.pictures).items():
        for (stack, name), pages in counts.items():
            if name in (stem, way(stem)) and pages != count:
                raise DataError(_other_count(stack, f"{pages} pages", path, count, what))


def _other_count(images: object, pages: str, masks: object, count: int, what: str) -> str:
    return (
        f"{masks} has {count} {plural(what)} for the {pages} of {images}: give every one its own, in the same order "
        f"(all zeros where nothing is marked)."
    )


def _lost(search: _Search, images: Found, what: str) -> str:
    first, more = search.masks[0], len(search.masks) - 1
    return (
        f"{what} {first}{f' and {more} more have' if more else ' has'} no image of that name"
        f"{'; '.join(_hints(first, images))}: name {plural(what)} as their images, e.g. {images.pictures[0].key!r}, "
        f"or remove them."
    )


def _hints(mask: Picture, images: Found) -> Iterator[str]:
    """What may have happened to the image of a mask."""
    left_out = [name for names in images.left_out.values() for name in names if name.rpartition(".")[0] == mask.stem]
    stems = [image.stem for image in images.pictures]
    if left_out:
        yield f" ({left_out[0]} is left out of the images: convert it to PNG or TIFF)"
    elif begins := [stem for stem in stems if mask.stem.startswith(stem) and mask.stem != stem]:
        added = mask.stem.removeprefix(max(begins, key=len))
        yield f" (if {max(begins, key=len)!r} is its image, give --mask-suffix={added})"
    elif near := difflib.get_close_matches(mask.key, [image.key for image in images.pictures], n=1, cutoff=0.2):
        yield f" (the nearest is {near[0]!r})"
