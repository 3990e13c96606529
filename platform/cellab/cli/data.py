"""`cellab data`: makes, imports, thins out and describes data sets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from cellab.cli import console
from cellab.errors import DataError

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

NARROW = 60  # columns of a terminal below which there is no room for a bar

Output = Annotated[Path, typer.Argument(metavar="OUT.h5", help="The data set to write.", show_default=False)]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT.h5 if it is there.")]
Seed = Annotated[int, typer.Option(min=0, help="Fixes everything that is random.")]
Scales = Annotated[str, typer.Option(help="Scales to keep, relative to the images, at most 1.")]
Fractions = Annotated[str, typer.Option(help="Shares of training, validation and test frames.")]
Gap = Annotated[
    int | None, typer.Option(help="Unused frames between two blocks.", show_default="one for every 20 frames, 1 to 10")
]


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise DataError(f"{option} {text!r}: give numbers with commas between them, e.g. 1.0,0.5.") from None


def _notice(text: str) -> None:
    console.notices(soft_wrap=True).print(f"notice: {text}", style="yellow", highlight=False)


def _done(text: str) -> None:
    console.results(soft_wrap=True).print(text, highlight=False)


def _columns(width: int) -> list[ProgressColumn]:
    """What a bar tells; on a narrow terminal the numbers alone, which must not be cut off."""
    if width < NARROW:
        text = "{task.description} {task.completed:.0f}/{task.total:.0f}"
        return [TextColumn(text, markup=False, table_column=Column(overflow="fold"))]
    bar = BarColumn(min(40, width - NARROW + 12))
    return [TextColumn("{task.description}", markup=False), bar, MofNCompleteColumn(), TimeRemainingColumn()]


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr for each kind of work, gone when all is done."""
    terminal = console.notices()
    with Progress(
        *_columns(terminal.width), console=terminal, transient=True, disable=not terminal.is_terminal
    ) as bars:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        yield show


@app.command(epilog="Example: cellab data synth demo.h5 --frames 64 --size 256 --never-labelled 0.3")
def synth(
    out: Output,
    frames: Annotated[int, typer.Option(help="Consecutive sections.")] = 64,
    size: Annotated[int, typer.Option(help="Height and width, pixels.")] = 256,
    seed: Seed = 0,
    scales: Scales = "1.0,0.5",
    fractions: Fractions = "0.6,0.15,0.25",
    gap: Gap = None,
    coverage: Annotated[float, typer.Option(help="Share of the volume that cells fill, at most 0.5.")] = 0.36,
    noise: Annotated[float, typer.Option(help="Standard deviation of the noise, grey values of 255.")] = 13.0,
    blur: Annotated[float, typer.Option(help="Standard deviation of the blur, pixels.")] = 0.65,
    never_labelled: Annotated[float, typer.Option(help="Share of the cells that are never labelled.")] = 0.5,
    gaps: Annotated[float, typer.Option(help="Share of the other cells unlabelled for a run of frames.")] = 0.25,
    stale: Annotated[
        float, typer.Option(help="Share of the labelled cells whose mask persists for a run of frames.")
    ] = 0.15,
    unannotated: Annotated[float, typer.Option(help="Share of the frames without a mask.")] = 0.05,
    elsewhere: Annotated[float, typer.Option(help="Factor on these four rates in validation and test frames.")] = 0.1,
    force: Force = False,
) -> None:
    """Draw a phantom: sections through 3-D cells that look like electron microscopy, faulty masks, and the truth."""
    from cellab.data.label_faults import FaultRates
    from cellab.data.phantom import Anatomy
    from cellab.data.splitting import Splitting
    from cellab.data.staining import Optics
    from cellab.data.synthetic import Phantom, synthesise

    phantom = Phantom(
        n_frames=frames,
        size=size,
        seed=seed,
        scales=_numbers(scales, "--scales"),
        splitting=Splitting("blocks", _numbers(fractions, "--fractions"), gap),
        anatomy=Anatomy(coverage=coverage),
        optics=Optics(blur=blur, noise=noise),
        faults=FaultRates(
            never_labelled=never_labelled, gaps=gaps, stale=stale, unannotated=unannotated, elsewhere=elsewhere
        ),
    )
    with _progress() as progress:
        provenance = synthesise(out, phantom, overwrite=force, progress=progress)
    faults = provenance["label_faults"]["train"]
    _done(
        f"{out}: {frames} sections of {size} × {size} pixels. Of {faults['cells']} cells in the {faults['frames']} "
        f"training frames {faults['never_labelled_cells']} are never labelled, {faults['cells_with_gaps']} not for a "
        f"run of frames, and the masks of {faults['stale_cells']} are stale for a run of frames; "
        f"{faults['unannotated_frames']} frames have no mask. The truth is complete."
    )


@app.command(
    "import",
    epilog="Example: cellab data import nuclei.h5 --images DIR/images --masks DIR/instances --split random",
)
def import_(
    out: Output,
    images: Annotated[
        Path, typer.Option(help="Folder of PNG or TIFF images, 8 or 16 bit; pages of a TIFF are frames.")
    ],
    masks: Annotated[Path, typer.Option(help="Folder of masks named as the images: 0 and 255, 0 and 1, or ids.")],
    truth: Annotated[Path | None, typer.Option(help="Folder of complete masks, which training never sees.")] = None,
    split: Annotated[
        str | None, typer.Option(help="blocks (consecutive frames) or random (unrelated).", show_default="blocks")
    ] = None,
    related: Annotated[
        bool | None,
        typer.Option("--related/--unrelated", help="Whether frames are consecutive.", show_default="unless random"),
    ] = None,
    fractions: Fractions = "0.6,0.15,0.25",
    gap: Gap = None,
    scales: Scales = "1.0,0.5",
    stretch: Annotated[
        str,
        typer.Option(
            help="Grey values to 8 bit: auto (16 bit, dark or flat images), none, or two percentiles LOW,HIGH."
        ),
    ] = "auto",
    stretch_each: Annotated[
        bool | None,
        typer.Option(
            "--stretch-each/--stretch-together",
            help="By percentiles of each image, or of all images together.",
            show_default="each where unrelated",
        ),
    ] = None,
    seed: Seed = 0,
    source: Annotated[str, typer.Option(help="Where the images come from, for the record.")] = "unknown",
    licence: Annotated[str, typer.Option(help="Licence of the images, for the record.")] = "unknown",
    force: Force = False,
) -> None:
    """Import folders of images and masks, matched by name, a frame at a time."""
    from cellab.data.importing import Import, import_folders
    from cellab.data.splitting import Splitting
    from cellab.data.stretching import Stretch

    if split is None:
        split = "random" if related is False else "blocks"
        if related is None:
            _notice("frames are taken to be consecutive, in the order of their names; else give --split random")
    if related is None:
        related = split == "blocks"
    settings = Import(
        images=images,
        masks=masks,
        truth=truth,
        related=related,
        scales=_numbers(scales, "--scales"),
        splitting=Splitting(split, _numbers(fractions, "--fractions"), gap, seed),
        stretch=Stretch.parse(stretch, not related if stretch_each is None else stretch_each),
        source=source,
        licence=licence,
    )
    with _progress() as progress:
        provenance = import_folders(out, settings, overwrite=force, progress=progress)
    for notice in provenance["notices"]:
        _notice(notice)
    _done(f"{out} is written; `cellab data info {out}` describes it.")


@app.command(epilog="Example: cellab data hide nuclei.h5 half.h5 --objects 0.5 --seed 0")
def hide(
    source: Annotated[Path, typer.Argument(metavar="IN.h5", help="A data set.", show_default=False)],
    out: Output,
    objects: Annotated[float, typer.Option(help="Share of the training masks' objects to hide.")] = 0.5,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Hide whole objects from the training masks; the complete masks become the truth."""
    from cellab.data.hiding import hide as hide_objects

    with _progress() as progress:
        hidden = hide_objects(source, out, objects, seed, overwrite=force, progress=progress)
    for notice in hidden.notices:
        _notice(notice)
    _done(
        f"{out}: {hidden.objects} of {hidden.of_objects} objects of the training masks are hidden, "
        f"{hidden.pixels} of {hidden.of_pixels} pixels ({hidden.pixels / hidden.of_pixels:.1%})."
    )


@app.command(epilog="Example: cellab data info half.h5")
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A data set.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the content with its digest.")] = False,
) -> None:
    """Describe a data set: frames, splits, masks, objects, what is hidden, and where it comes from."""
    from cellab.cli.data_table import data_table
    from cellab.data.dataset import Dataset
    from cellab.data.summary import summarise

    with Dataset.open(file) as dataset:
        if verify and dataset.content_digest() != dataset.digest:
            raise DataError(f"{file} is not what was written (its digest differs): make or copy it again.")
        summary = summarise(dataset)
    if as_json:
        console.print_json(summary)
    else:
        terminal = console.results()
        terminal.print(data_table(summary, terminal.width))
