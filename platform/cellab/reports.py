"""Finds the installed reports (entry points `cellab.reports`) and lets each write its file."""

from importlib.metadata import entry_points
from pathlib import Path

GROUP = "cellab.reports"


def write_reports(folder: Path) -> list[Path]:
    """Every installed report of the study in a folder; gives the files written."""
    return [point.load()(folder) for point in sorted(entry_points(group=GROUP), key=lambda point: point.name)]
