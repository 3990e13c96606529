"""What stages cost: written down where they run, beside what they leave, and summed per arm."""

import polars as pl
import pytest
from rich.console import Console

from cellab.cli.tables import cost_table
from cellab.costs import cost_of, recorded
from cellab.executors.inline import Inline
from cellab.run import Nobody, run_study
from cellab.store import Store
from cellab.study_files.claim import alone
from cellab.study_files.folder import StudyFolder
from cellab.study_files.tables import STAGES, table

MIB = 2**20


def test_each_stage_has_a_peak_of_its_own(stage, tmp_path):
    store = Store(str(tmp_path))
    peaks = []
    for size in (200 * MIB, 1):
        with recorded(stage, store):
            assert len(b"x" * size) == size
        cost = cost_of(stage.key, store)
        assert cost.seconds > 0 <= cost.cpu_seconds
        assert (cost.device, cost.gpu_peak_bytes) == ("cpu", None)
        peaks.append(cost.peak_bytes)
    assert peaks[0] > peaks[1] + 100 * MIB > 100 * MIB


def test_what_fails_costs_nothing_that_is_known_and_damage_is_no_cost(stage, tmp_path):
    store = Store(str(tmp_path))

    def fail() -> None:
        with recorded(stage, store):
            raise ValueError("it fails")

    with pytest.raises(ValueError, match="it fails"):
        fail()
    assert cost_of(stage.key, store) is None
    store.write_note(f"costs/{stage.key}.json", b'{"seconds": 1')
    assert cost_of(stage.key, store) is None


def test_no_room_for_a_cost_fails_no_stage(stage, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    store = Store(str(tmp_path))
    monkeypatch.setattr(store, "write_note", full)
    with recorded(stage, store):
        pass
    assert cost_of(stage.key, store) is None


def test_a_study_knows_what_it_computed_and_what_it_found(study, tmp_path):
    """Also when it has been stopped and goes on, and when it gets more arms."""
    store, folder = Store(str(tmp_path / "store")), StudyFolder(tmp_path / "runs")

    def hows(values):
        with alone(folder):
            run_study(
                study("unet.width", values, "generations=1", "executor=inline"), store, folder, Inline(), Nobody()
            )
        rows = folder.read_stages()
        assert dict(rows.schema) == STAGES
        assert rows.filter(pl.any_horizontal(pl.col("seconds", "cpu_seconds", "peak_bytes") <= 0)).is_empty()
        assert set(rows["stage"]) == {"gen 0 member 0", "gen 0 evaluation"}
        assert set(rows["generation"]) == {0}
        return dict(rows.group_by("arm").agg("how").rows())

    first = hows([4])
    assert first == {"unet.width=4": ["ran", "ran"]}
    assert hows([4, 2]) == {**first, "unet.width=2": ["ran", "ran"]}
    folder.stages.write_text("damaged")
    assert set(map(tuple, hows([4, 2]).values())) == {("reused", "reused")}


def test_stages_that_arms_share_ran_for_the_first(study, tmp_path):
    made = study("gan_loss", ["ns", "wgan"])
    store, folder = Store(str(tmp_path / "store")), StudyFolder(tmp_path / "runs")
    with alone(folder):
        run_study(made, store, folder, Inline(), Nobody())
    rows = folder.read_stages()
    assert rows.filter(how="reused").select("arm", "stage").rows() == [
        ("gan_loss=wgan", "gen 0 member 0"),
        ("gan_loss=wgan", "gen 0 evaluation"),
    ]
    assert rows.filter(stage="generator")["generation"].to_list() == [None, None]
    assert sorted(rows.filter(how="ran")["key"]) == sorted(made.stages)


def row(arm: str, how: str, seconds: float | None, gigabytes: int = 1) -> dict[str, object]:
    measured = {"seconds": seconds, "cpu_seconds": seconds, "peak_bytes": gigabytes * 2**30}
    return {"arm": arm, "seed": 0, "stage": "generator", "how": how, **measured}


def test_arms_costs_are_summed():
    rows = [row("b", "ran", 60), row("b", "ran", 3600, 2), row("a", "reused", 60), row("a", "ran", None)]
    console = Console(width=100, record=True)
    console.print(cost_table(table(rows, STAGES), ["a", "b"], 100))
    lines = [line.split() for line in console.export_text().splitlines() if line[:2] in ("a ", "b ")]
    assert lines == [
        ["a", "2", "1", "≥", "60", "s", "≥", "60", "s", "1.0", "GiB"],
        ["b", "2", "2", "61", "min", "61", "min", "2.0", "GiB"],
    ]


def test_what_is_not_shared_is_computed_twice_and_comes_out_the_same(study, tmp_path):
    found = []
    for sharing in ("on", "off"):
        made = study("gan_loss", ["ns", "wgan"], "generations=1", f"sharing={sharing}")
        folder = StudyFolder(tmp_path / sharing)
        with alone(folder):
            run_study(made, Store(str(tmp_path / "store")), folder, Inline(), Nobody())
        found.append((folder.read_stages()["how"].to_list(), folder.read_results()))
    assert found[0][0] == ["ran", "ran", "reused", "reused"]
    assert found[1][0] == ["ran"] * 4
    assert found[0][1].equals(found[1][1])
