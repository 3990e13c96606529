"""The tables of a study (`.parquet`): columns and types of `results`, `pseudo_labels`, `calibrations` and `stages`."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from cellab.training.names import COUNTERS

Schema = Mapping[str, pl.DataType | type[pl.DataType]]  # of each column, by name

RESULTS: Schema = {
    "arm": pl.String,
    "seed": pl.Int64,
    "generation": pl.Int64,
    "split": pl.String,
    "reference": pl.String,
    "average": pl.String,
    "metric": pl.String,
    "value": pl.Float64,
}
PSEUDO_LABELS: Schema = {
    "arm": pl.String,
    "seed": pl.Int64,
    "generation": pl.Int64,
    "member": pl.Int64,
    "source": pl.String,
    **dict.fromkeys(COUNTERS, pl.Int64),
    "dice_accepted": pl.Float64,
    "dice_rejected": pl.Float64,
    "threshold": pl.List(pl.Float64),
}
CALIBRATIONS: Schema = {
    "arm": pl.String,
    "seed": pl.Int64,
    "generation": pl.Int64,
    "member": pl.Int64,  # null: of the vote of all of them
    "label_frequency": pl.Float64,
    "cut": pl.Float64,
    "scores": pl.List(pl.Float64),  # of cuts evenly spaced from 0 to 1
}
STAGES: Schema = {
    "arm": pl.String,
    "seed": pl.Int64,
    "generation": pl.Int64,  # null: of the whole lineage
    "stage": pl.String,  # the part of the lineage
    "kind": pl.String,
    "key": pl.String,
    "how": pl.String,  # "ran": for this trial, in this study; "reused": for another, or another study
    "began": pl.Float64,  # seconds since 1970; from here on null where nobody has written it down
    "seconds": pl.Float64,
    "cpu_seconds": pl.Float64,
    "peak_bytes": pl.Int64,
    "gpu_peak_bytes": pl.Int64,  # null without one
    "device": pl.String,
}


def table(rows: Iterable[Mapping[str, object]], schema: Schema) -> pl.DataFrame:
    """A table of rows; without rows it has the columns all the same."""
    return pl.DataFrame(list(rows), schema=dict(schema), orient="row")


def write_table(content: pl.DataFrame, path: Path) -> None:
    """Writes a table.

    Raises:
        OSError: it cannot be written, and why.
    """
    parquet = io.BytesIO()  # polars' own writing hides why it failed
    content.write_parquet(parquet)
    path.write_bytes(parquet.getbuffer())


def read_table(path: Path, schema: Schema) -> pl.DataFrame:
    """Reads a table.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no table, or lacks a column, or has one of another type.
    """
    try:
        content = pl.read_parquet(io.BytesIO(path.read_bytes()))  # polars itself takes only names that are UTF-8
    except pl.exceptions.PolarsError as error:
        raise ValueError(str(error)) from error
    if lacking := [name for name in schema if name not in content.columns]:
        raise ValueError(f"it lacks the columns {', '.join(lacking)}")
    if wrong := [name for name, wanted in schema.items() if content.schema[name] != wanted]:
        raise ValueError(f"the columns {', '.join(wrong)} have another type")
    return content
