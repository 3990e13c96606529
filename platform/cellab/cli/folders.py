"""Studies' folders as people name them."""

from pathlib import Path
from typing import Annotated

import typer

from cellab import paths
from cellab.errors import CellabError
from cellab.names import did_you_mean
from cellab.study_files.folder import DESCRIPTION, StudyFolder

Folder = Annotated[
    Path, typer.Argument(parser=paths.given, metavar="FOLDER", help="A study's folder, e.g. runs/gan_loss.")
]


def study_in(folder: Path) -> StudyFolder:
    """The study that a folder holds.

    Raises:
        CellabError: it holds none.
    """
    if not StudyFolder(folder).description.is_file():
        beside = [path.parent.name for path in folder.parent.glob(f"*/{DESCRIPTION}")]
        raise CellabError(f"{folder} holds no study{did_you_mean(folder.name, beside)}")
    return StudyFolder(folder)
