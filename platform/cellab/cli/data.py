"""`cellab data`: makes, imports, thins out and describes data sets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated, ParamSpec

import typer
from rich import progress as bars
from rich.table import Column

from cellab import paths
from cellab.cli import console
from cellab.cli.interruption import noticing_signals
from cellab.cli.options import AsJson
from cellab.data.progress import Progress
from cellab.errors import DataError
from cellab.stopping import Stopped, stop_if_asked

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich")

NARROW = 60  # columns of a terminal below which there is no room for a bar

NOTHING_WRITTEN = ": nothing was written"
P = ParamSpec("P")

Output = Annotated[
    Path, typer.Argument(metavar="OUT.h5", parser=paths.to_write, help="The data set to write.", show_default=False)
]
Force = Annotated[bool, typer.Option("--force", help="Replace OUT.h5 if it is there.")]
Seed = Annotated[int, typer.Option(min=0, help="Fixes everything that is random.")]
Scales = Annotated[str, typer.Option(help="Scales to keep, relative to the images, at most 1.")]
Fractions = Annotated[str, typer.Option(help="Shares of training, validation and test frames.")]
Gap = Annotated[
    int | None, typer.Option(help="Unused frames between two blocks.", show_default="one for every 20 frames, 1 to 10")
]


def _numbers(text: str, option: str, example: str = "1.0,0.5") -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise DataError(f"{option} {text!r}: give numbers with commas between them, e.g. {example}.") from None


def _notice(text: str) -> None:
    console.notices(soft_wrap=True).print(f"notice: {text}", style="yellow", highlight=False)


def _done(text: str) -> None:
    console.results(soft_wrap=True).print(text, highlight=False)


def _columns(width: int) -> list[bars.ProgressColumn]:
    """What a bar tells; on a narrow terminal the numbers alone, which must not be cut off."""
    if width < NARROW:
        text = "{task.description} {task.completed:.0f}/{task.total:.0f}"
        return [bars.TextColumn(text, markup=False, table_column=Column(overflow="fold"))]
    bar = bars.BarColumn(min(40, width - NARROW + 12))
    return [
        bars.TextColumn("{task.description}", markup=False),
        bar,
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    ]


def _stoppable(effect: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """A command that signals end between two frames, when its progress is told.

    Args:
        effect: what people should know when it was stopped.
    """

    def decorate(command: Callable[P, None]) -> Callable[P, None]:
        @wraps(command)
        def run(*arguments: P.args, **options: P.kwargs) -> None:
            try:
                with noticing_signals():
                    command(*arguments, **options)
            except Stopped as stopped:
                console.notices(soft_wrap=True).print(f"Stopped{effect}.", highlight=False)
                raise typer.Exit(128 + stopped.number) from None

        return run

    return decorate


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr for each kind of work, gone when all is done."""
    terminal = console.notices()
    columns, nobody_looks = _columns(terminal.width), not terminal.is_terminal
    with bars.Progress(*columns, console=terminal, transient=True, disable=nobody_looks) as shown:
        tasks: dict[str, bars.TaskID] = {}

        def show(what: str, done: int, total: int) -> None:
            stop_if_asked()
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done)

        yield show


@app.command(epilog="Example: cellab data synth demo.h5 --frames 64 --size 256 --never-labelled 0.3")
@_stoppable(NOTHING_WRITTEN)
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
        faults = synthesise(out, phantom, overwrite=force, progress=progress)["train"]
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
@_stoppable(NOTHING_WRITTEN)
def import_(
    out: Output,
    images: Annotated[
        Path,
        typer.Option(
            parser=paths.given,
            metavar="PATH",
            help="Folder of PNG or TIFF images, 8 or 16 bit; pages of a TIFF are frames.",
        ),
    ],
    masks: Annotated[
        Path,
        typer.Option(
            parser=paths.given, metavar="PATH", help="Folder of masks named as the images: 0 and 255, 0 and 1, or ids."
        ),
    ],
    truth: Annotated[
        Path | None,
        typer.Option(parser=paths.given, metavar="PATH", help="Folder of complete masks, which training never sees."),
    ] = None,
    mask_suffix: Annotated[
        str | None,
        typer.Option(
            help="What masks' names have after the images', e.g. _mask; needed where one folder holds both.",
            show_default="nothing, or a common word",
        ),
    ] = None,
    truth_suffix: Annotated[str | None, typer.Option(help="Likewise, of truth.", show_default="likewise")] = None,
    mask_values: Annotated[
        str, typer.Option(help="What masks hold: auto, binary (0 is background), ids, or grey (cut at half).")
    ] = "auto",
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
    seed: Annotated[int | None, typer.Option(min=0, help="Of the random split.", show_default="0")] = None,
    source: Annotated[str, typer.Option(help="Where the images come from, for the record.")] = "unknown",
    licence: Annotated[str, typer.Option(help="Licence of the images, for the record.")] = "unknown",
    force: Force = False,
) -> None:
    """Import folders of images and masks, paired by name, a frame at a time."""
    from cellab.data.importing import Import, import_folders
    from cellab.data.splitting import Splitting
    from cellab.data.stretching import Stretch

    if split is None:
        split = "random" if related is False else "blocks"
        if related is None:
            _notice("frames are taken to be consecutive, in the order of their names; else give --split random")
    if related is None:
        related = split == "blocks"
    for option, does_nothing, why in (
        ("--seed", seed is not None and split == "blocks", "the split is by blocks"),
        ("--gap", gap is not None and split == "random", "the split is random"),
        ("--stretch-each/--stretch-together", stretch_each is not None and stretch == "none", "nothing is stretched"),
    ):
        if does_nothing:
            _notice(f"{option} does nothing: {why}")
    settings = Import(
        images=images,
        masks=masks,
        truth=truth,
        mask_suffix=mask_suffix,
        truth_suffix=truth_suffix,
        mask_values=mask_values,
        related=related,
        scales=_numbers(scales, "--scales"),
        splitting=Splitting(split, _numbers(fractions, "--fractions"), gap, seed or 0),
        stretch=Stretch.parse(stretch, not related if stretch_each is None else stretch_each),
        source=source,
        licence=licence,
    )
    with _progress() as progress:
        imported = import_folders(out, settings, overwrite=force, progress=progress)
    for notice in imported.notices:
        _notice(notice)
    _done(f"{out}: {imported.understood}")


@app.command(epilog="Example: cellab data hide nuclei.h5 small.h5 --objects 0.95,0.5 --bias size --seed 0")
@_stoppable(NOTHING_WRITTEN)
def hide(
    source: Annotated[
        Path, typer.Argument(metavar="IN.h5", parser=paths.given, help="A data set.", show_default=False)
    ],
    out: Output,
    objects: Annotated[
        str,
        typer.Option(
            help="Share of the training masks' objects to hide; with --bias two, LOW,HIGH: of the smaller or fainter "
            "half and of the other."
        ),
    ] = "0.5",
    bias: Annotated[
        str | None,
        typer.Option(
            help="What annotators go by: size, or contrast (with the surroundings).",
            show_default="nothing: chance alone",
        ),
    ] = None,
    within: Annotated[
        str, typer.Option(help="What an object is: one over the frames of a stack, or each in each of the frames.")
    ] = "stack",
    gaps: Annotated[
        float, typer.Option(help="Share of the objects left that are unlabelled for a run of frames.")
    ] = 0.0,
    stale: Annotated[
        float, typer.Option(help="Share of the objects left whose mask persists for a run of frames.")
    ] = 0.0,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Hide whole objects from the training masks; the complete masks become the truth."""
    from cellab.data.hiding import hide as hide_objects

    shares = _numbers(objects, "--objects", "0.5, or 0.95,0.5 with --bias")
    with _progress() as progress:
        hidden = hide_objects(
            source,
            out,
            shares,
            seed,
            bias=bias,
            within=within,
            gaps=gaps,
            stale=stale,
            overwrite=force,
            progress=progress,
        )
    for notice in hidden.notices:
        _notice(notice)
    _done(f"{out}: {hidden.in_words()}")


@app.command(epilog="Example: cellab data info half.h5")
@_stoppable("")
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", parser=paths.given, help="A data set.", show_default=False)],
    as_json: AsJson = False,
    verify: Annotated[bool, typer.Option("--verify", help="Compare the content with its digest.")] = False,
) -> None:
    """Describe a data set: frames, splits, masks, objects, what is hidden, and where it comes from."""
    from cellab.cli.data_table import data_table
    from cellab.data.dataset import Dataset
    from cellab.data.summary import summarise

    with _progress() as progress, Dataset.open(file) as dataset:
        if verify and dataset.content_digest(progress) != dataset.digest:
            raise DataError(f"{file} is not what was written (its digest differs): make or copy it again.")
        summary = summarise(dataset, progress)
    if as_json:
        console.print_json(summary)
    else:
        terminal = console.results()
        terminal.print(data_table(summary, terminal.width))
