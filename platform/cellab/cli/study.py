"""`cellab plan`, `ablate`, `train` and `report`."""

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cellab import ablation as ablations
from cellab import paths
from cellab.cli import console
from cellab.cli.folders import Folder, study_in
from cellab.cli.options import AsJson
from cellab.cli.tables import cost_table, plan_table, ranking_table
from cellab.compose import compose_trial
from cellab.designs import BASELINE
from cellab.errors import CellabError, UnfinishedError
from cellab.overrides import last_of_each_key, parse
from cellab.repeating import Repeated
from cellab.stage import canonical_json
from cellab.store import Store
from cellab.study import Study, build_study
from cellab.study import plan as plan_study
from cellab.study_files.folder import DESCRIPTION
from cellab.study_files.records import Ranking

Overrides = Annotated[
    list[str] | None,
    typer.Argument(help="Hydra overrides: data.path=cells.h5 scale=laptop 'seeds=[0,1]' ...", show_default=False),
]
OfOneLineage = Annotated[
    list[str] | None,
    typer.Argument(help="Hydra overrides: data.path=cells.h5 scale=laptop seed=1 ...", show_default=False),
]
NAME = "An ablation: a file in ablations/, e.g. gan_loss, or a path."
Name = Annotated[str, typer.Argument(help=NAME)]
NameUnlessRepeated = Annotated[str | None, typer.Argument(help=NAME, show_default=False)]
Runs = Annotated[Path, typer.Option("--runs", parser=paths.given, metavar="PATH", help="The folder of studies.")]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", help="Where stages' results live: a folder or an fsspec URL; by default RUNS/store."),
]
Ablations = Annotated[
    Path | None,
    typer.Option("--ablations", parser=paths.given, metavar="PATH", help="A folder of ablation files."),
]
Address = Annotated[str | None, typer.Option("--address", help="A running Ray cluster: HOST:PORT, ray://... or auto.")]
StudyName = Annotated[
    str | None, typer.Option("--name", help="The study's folder below RUNS; by default the ablation's name.")
]
Trust = Annotated[
    bool, typer.Option("--trust", help="Let configurations name code of any package: whatever they name is run.")
]

DEFAULT_RUNS = Path("runs")
STORE = "store"  # below RUNS
LONGEST_NAME = 200  # bytes; Ray adds a date, and file systems take 255
FOLDER_NAME = re.compile(r"\w[\w.=+-]*")


def plan(
    name: Name,
    overrides: Overrides = None,
    runs: Runs = DEFAULT_RUNS,
    store: StoreUrl = None,
    ablations_folder: Ablations = None,
    trust: Trust = False,
    as_json: AsJson = False,
) -> None:
    """Show what an ablation would run: arms, seeds, trials, stages and how many of them are distinct or stored.

    Example: cellab plan gan_loss data.path=half.h5
    """
    _check_folder(ablations_folder)
    ablation = ablations.load(name, overrides or [], ablations_folder)
    study = build_study(ablation.name, ablation, trust)
    planned = plan_study(study, existing_store(runs, store))
    if as_json:
        console.print_json(planned)
        return
    for notice in study.notices:
        console.notices(soft_wrap=True).print(f"notice: {notice}", style="yellow")
    terminal = console.results()
    terminal.print(plan_table(planned, study, terminal.width))


def ablate(
    name: NameUnlessRepeated = None,
    overrides: Overrides = None,
    runs: Runs = DEFAULT_RUNS,
    store: StoreUrl = None,
    ablations_folder: Ablations = None,
    study_name: StudyName = None,
    address: Address = None,
    repeated: Annotated[
        Path | None,
        typer.Option("--from", parser=paths.given, metavar="PATH", help="Repeat a study exactly, by its study.yaml."),
    ] = None,
    trust: Trust = False,
) -> None:
    """Run an ablation: every arm with every seed, a whole lineage each; rank the arms and write the report.

    What is stored already is reused; after Ctrl-C, or worse, the same command goes on where it stopped.

    Example: cellab ablate gan_loss data.path=half.h5 scale=laptop 'seeds=[0,1]'
    """
    _check_folder(ablations_folder)
    if repeated is not None:
        study = _again(repeated, [*([name] if name else []), *(overrides or [])], study_name, trust)
    elif name is None:
        raise CellabError("which ablation? Name one, e.g. `cellab ablate gan_loss`, or a study.yaml with --from.")
    else:
        ablation = ablations.load(name, overrides or [], ablations_folder)
        study = build_study(_folder_name(study_name, ablation.name), ablation, trust)
    _run(study, runs, store, address)


def _again(path: Path, overrides: list[str], study_name: str | None, trust: bool) -> Study:
    """The study that a `study.yaml` describes; the folder that holds one names it too."""
    asked = Repeated.of(path / DESCRIPTION if path.is_dir() else path, overrides)
    study = build_study(_folder_name(study_name, asked.name), asked.ablation, trust)
    asked.check(study)
    return study


def train(
    overrides: OfOneLineage = None,
    runs: Runs = DEFAULT_RUNS,
    store: StoreUrl = None,
    study_name: StudyName = None,
    address: Address = None,
    trust: Trust = False,
) -> None:
    """Train one lineage, without an ablation, and write its report.

    Example: cellab train data.path=half.h5 gan_loss=wgan_gp generations=3
    """
    for override in parse(overrides or []):
        if ablations.is_study_key(override.key):
            hint = " Use seed=0 for one lineage." if override.key == "seeds" else ""
            raise CellabError(f"{override.text}: `cellab train` runs one lineage, without an ablation.{hint}")
    chosen = [override.text for override in last_of_each_key(parse(overrides or []))]
    config = compose_trial(chosen, trust=trust)
    ablation = ablations.Ablation(
        name="train",
        question="One lineage, no ablation.",
        design="arms",
        content={"arms": {BASELINE: []}},
        seeds=[config.lineage.seed],
        rank_by="dice",
        overrides=chosen,
    )
    digest = hashlib.sha256(canonical_json(config.plain).encode()).hexdigest()[:8]
    _run(build_study(_folder_name(study_name, f"train-{digest}"), ablation, trust), runs, store, address)


def report(folder: Folder) -> None:
    """Build report.html again from a study's files.

    Example: cellab report runs/gan_loss
    """
    from cellab.reports import write_reports

    for path in write_reports(study_in(folder).path):
        _tell_report(path)


def _tell_report(path: Path) -> None:
    console.results(soft_wrap=True).print(Text.assemble("report: ", (str(path), "bold")))


def _folder_name(chosen: str | None, default: str) -> str:
    name = default if chosen is None else chosen
    if len(os.fsencode(name)) > LONGEST_NAME:
        raise CellabError(f"--name {name[:20]}...: it must be shorter, at most {LONGEST_NAME} letters.")
    if not FOLDER_NAME.fullmatch(name) or name == STORE:
        allowed = f"one plain folder name of letters, digits and . _ = + -, not {STORE!r}"
        if chosen is None:
            raise CellabError(f"the ablation {name!r} needs a folder for its study: give {allowed}, with --name NAME.")
        raise CellabError(f"--name {name!r}: it must be {allowed}.")
    return name


def _check_folder(folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise CellabError(f"--ablations {folder}: there is no such folder.")


def _store_url(runs: Path, url: str | None) -> str:
    """Absolute where it is a folder: Ray's workers have working directories of their own."""
    url = str(runs / STORE) if url is None else url
    return url if "://" in url else str(paths.given(url).absolute())


def existing_store(runs: Path, url: str | None) -> Store | None:
    """The store if it is there: planning creates nothing."""
    url = _store_url(runs, url)
    return Store(url, to_read=True) if "://" in url or Path(url).exists() else None


def _run(study: Study, runs: Path, store_url: str | None, address: str | None) -> None:
    from cellab import executors
    from cellab.cli import interruption
    from cellab.cli.screen import Screen
    from cellab.run import run_study
    from cellab.study_files.claim import alone, check_folder
    from cellab.study_files.folder import StudyFolder

    folder = StudyFolder(runs / study.name)
    with alone(folder):
        check_folder(study, folder)
        executor = executors.make(study.config.lineage.executor, address, folder.ray_logs)
        store = Store(_store_url(runs, store_url))  # what is refused above leaves none
        with interruption.stoppable():
            ran = run_study(study, store, folder, executor, Screen(console.notices()))
    terminal = console.results()
    terminal.print(ranking_table(ran.ranking, terminal.width))
    terminal.print(cost_table(folder.read_stages(), [arm.arm for arm in ran.ranking.arms], terminal.width))
    _tell_report(folder.report)
    _raise_if_unfinished(ran.ranking)


def _raise_if_unfinished(ranking: Ranking) -> None:
    """A trial that diverged by itself is a result; one that failed is none, though all others have been run."""
    failed = [
        f"  {arm.arm} seed={trial.seed} {trial.status}: {trial.message}"
        for arm in ranking.arms
        for trial in arm.trials
        if trial.status in ("failed", "stopped")
    ]
    if failed:
        head = f"{len(failed)} of {len(ranking.trials)} trials did not complete; the same command tries them again:"
        raise UnfinishedError("\n".join([head, *failed]))
