"""`cellab data` as a person types it."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from cellab.__main__ import main
from cellab.cli.data import app
from cellab.data.dataset import Dataset
from cellab.errors import DataError

runner = CliRunner()


def run(*arguments: str | Path) -> Result:
    result = runner.invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, DataError):
        raise result.exception
    return result


@pytest.fixture
def folders(tmp_path: Path, cells: tuple[np.ndarray, np.ndarray]) -> list[str | Path]:
    for name, stack in zip(("images", "masks"), cells, strict=True):
        (tmp_path / name).mkdir()
        for index, image in enumerate(stack):
            Image.fromarray(image).save(tmp_path / name / f"{index:02d}.png")
    return ["--images", tmp_path / "images", "--masks", tmp_path / "masks"]


def test_from_folders_to_a_description(tmp_path: Path, folders: list[str | Path]) -> None:
    made, half = tmp_path / "made.h5", tmp_path / "half.h5"
    result = run("import", made, *folders, "--source", "a test", "--licence", "CC0-1.0", "--scales", "1,0.25")
    assert result.exit_code == 0, result.output
    assert "frames are taken to be consecutive" in result.stderr
    assert "frames are taken" not in result.stdout
    result = run("hide", made, half, "--objects", "0.5", "--seed", "0")
    assert "1 of 2 objects of the training masks are hidden" in result.stdout
    result = run("info", half, "--json", "--verify")
    said = json.loads(result.stdout)
    assert result.stderr == ""
    assert said["frames"] == 12
    assert said["scales"] == {"1": [40, 48], "0.25": [10, 12]}
    assert said["splits"]["train"]["objects"] == 1
    assert said["splits"]["train"]["objects_truth"] == 2
    assert said["splits"]["validation"]["hidden"] == 0.0
    assert said["provenance"]["licence"] == "CC0-1.0"
    with Dataset.open(half) as data:
        train = data.indices("train")
        given, truth = np.stack(data.masks(1.0, train)), np.stack(data.truth(1.0, train))
    assert said["digest"] == data.digest
    assert said["splits"]["train"]["hidden"] == pytest.approx((truth & ~given & 1).sum() / truth.sum())
    assert said["splits"]["train"]["foreground"] == pytest.approx(given.mean())
    assert said["splits"]["train"]["foreground_truth"] == pytest.approx(truth.mean())
    table = run("info", half).stdout
    for part in ("12, consecutive", "a test", "CC0-1.0", "hide (objects 0.5, seed 0: 1 of 2 objects)", data.digest):
        assert part in table


def test_unrelated_images(tmp_path: Path, folders: list[str | Path]) -> None:
    result = run("import", tmp_path / "made.h5", *folders, "--split", "random", "--seed", "4")
    assert "taken to be consecutive" not in result.stderr
    with Dataset.open(tmp_path / "made.h5") as data:
        assert not data.related
        assert data.provenance["arguments"]["stretch"]["each"]
    result = run("import", tmp_path / "leaky.h5", *folders, "--split", "random", "--related")
    assert "split at random" in result.stderr
    with Dataset.open(tmp_path / "leaky.h5") as data:
        assert not data.provenance["arguments"]["stretch"]["each"]
    run("import", tmp_path / "unrelated.h5", *folders, "--unrelated")
    with Dataset.open(tmp_path / "unrelated.h5") as data:
        assert not data.related
        assert len(data.indices("unused")) == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seed", "4"], "--seed does nothing: the split is by blocks"),
        (["--split", "random", "--gap", "2"], "--gap does nothing: the split is random"),
        (["--stretch", "none", "--stretch-each"], "--stretch-each/--stretch-together does nothing"),
    ],
)
def test_options_that_do_nothing_are_told(
    tmp_path: Path, folders: list[str | Path], options: list[str], told: str
) -> None:
    assert told in run("import", tmp_path / "made.h5", *folders, *options).stderr


def test_files_are_kept_without_force(tmp_path: Path, folders: list[str | Path]) -> None:
    made = tmp_path / "made.h5"
    run("import", made, *folders)
    for command in (["import", made, *folders], ["synth", made], ["hide", made, made]):
        before = made.read_bytes()
        with pytest.raises(DataError, match="--force"):
            run(*command)
        assert made.read_bytes() == before
    assert run("import", made, *folders, "--force").exit_code == 0


def test_synth_takes_its_rates(tmp_path: Path) -> None:
    made = tmp_path / "made.h5"
    small = ["--frames", "8", "--size", "64"]
    result = run("synth", made, *small, "--never-labelled", "0", "--gaps", "0", "--stale", "0", "--unannotated", "0")
    assert "0 are never labelled" in result.stdout
    assert json.loads(run("info", made, "--json").stdout)["splits"]["train"]["hidden"] == 0.0
    run("synth", made, *small, "--never-labelled", "0.6", "--force")
    assert json.loads(run("info", made, "--json").stdout)["splits"]["train"]["hidden"] > 0.1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fractions", "0.6,0.4"], "three numbers"),
        (["--fractions", "a,b,c"], "--fractions 'a,b,c'"),
        (["--scales", "1;2"], "--scales '1;2'"),
        (["--scales", "2"], "at most 1"),
        (["--split", "stripes"], "blocks or random"),
        (["--gap", "7"], "leave no"),
        (["--stretch", "much"], "stretch 'much'"),
    ],
)
def test_impossible_options_leave_no_file(
    tmp_path: Path, folders: list[str | Path], options: list[str], said: str
) -> None:
    with pytest.raises(DataError, match=said):
        run("import", tmp_path / "made.h5", *folders, *options)
    assert not list(tmp_path.glob("*.h5*"))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--noise", "nan"], "noise nan"),
        (["--noise=-3"], "noise -3.0"),
        (["--blur=-1"], "blur -1.0"),
        (["--coverage", "2"], "coverage 2.0"),
        (["--coverage=-1"], "coverage -1.0"),
        (["--frames", "0"], "frames 0"),
        (["--size", "3"], "size 3"),
        (["--stale", "nan"], "stale nan"),
    ],
)
def test_impossible_phantoms_exit_with_one_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    said: str,
) -> None:
    monkeypatch.setattr("sys.argv", ["cellab", "data", "synth", str(tmp_path / "x.h5"), *options])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr()
    assert stopped.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith(f"error: {said}: give ")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_verify_finds_changed_content(tmp_path: Path, folders: list[str | Path]) -> None:
    made = tmp_path / "made.h5"
    run("import", made, *folders)
    with h5py.File(made, "r+") as file:
        file["scales/1/frames"][0, 0, 0] ^= 1
    with pytest.raises(DataError, match="its digest differs"):
        run("info", made, "--verify")


@pytest.mark.parametrize("command", ["synth", "import", "hide", "info"])
def test_help_shows_an_example(command: str) -> None:
    assert f"Example: cellab data {command} " in run(command, "--help").stdout
