"""`cellab status`: what a run writes down for who looks from another terminal, and how that is shown."""

import os
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from rich.console import Console

from cellab import recording
from cellab.cli import status as command
from cellab.executors.driver import Ending
from cellab.executors.inline import Inline
from cellab.executors.monitor import Ended, Monitor, Running, Snapshot
from cellab.recording import recorded
from cellab.run import Nobody, run_study
from cellab.store import Store
from cellab.study_files.claim import alone
from cellab.study_files.folder import StudyFolder
from cellab.study_files.status import RunningStage, RunStatus

NOW = 1_000_000.0
STATUS = RunStatus(
    study="gan_loss",
    state="running",
    host=socket.gethostname(),
    pid=os.getpid(),
    began=NOW - 600,
    written=NOW - 1,
    trials=6,
    trials_ended={"completed": 2, "failed": 1},
    slots=2,
    stages=30,
    stages_ended={"finished": 10, "reused": 4, "failed": 1},
    retried=1,
    running=(
        RunningStage("ns seed=0 gen 0 member 0", 400, 1, 50, 200),
        RunningStage("ns seed=1 generator", 400, 400, 0, 0),
    ),
    seconds_left=1800,
    notices=("ns seed=0 generator: it was killed, and is tried again",),
)


def text_of(said: RunStatus, now: float = NOW) -> str:
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(command.shown(said, now))
    return console.export_text()


class Looking(Nobody):
    """Looks whenever it is asked whether to stop."""

    def watch(self, look):
        self.look = look

    def check(self):
        self.look()


def test_a_status_is_read_as_it_was_written(tmp_path):
    folder = StudyFolder(tmp_path)
    folder.write_status(STATUS.to_json())
    assert folder.read_status() == STATUS
    assert STATUS.waiting == 30 - 15 - 2


def test_what_is_shown():
    lines = text_of(STATUS).splitlines()
    assert lines[0] == "gan_loss: running for 10 min, about 30 min left; 2 of 2 slots busy"
    assert lines[1] == "trials: 6 (2 completed, 1 failed)"
    assert lines[2] == "stages: 30 (10 finished, 4 reused, 1 failed, 2 running, 13 waiting, 1 retried)"
    assert lines[3] == "notice: ns seed=0 generator: it was killed, and is tried again"
    assert lines[4].split() == [*["ns", "seed=0", "gen", "0", "member", "0", "50/200", "7", "min"]]
    assert lines[5].endswith("no progress for 7 min")


def test_a_command_that_is_silent_or_was_killed_is_told():
    later = NOW + 60
    assert "no word from it for 61 s" in text_of(STATUS, later)
    assert "gone" not in text_of(STATUS, later), "this process is there"
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert "its process is gone: the same command goes on" in text_of(replace(STATUS, pid=process.pid), later)
    assert "gone" not in text_of(replace(STATUS, pid=process.pid, host="elsewhere"), later)
    ended = replace(STATUS, state="failed", running=(), message="the disk is full")
    assert text_of(ended, later).startswith("gan_loss: failed after 10 min: the disk is full\n")


def test_a_run_writes_how_it_gets_on(study, tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "INTERVAL", 0.0)
    made, store, folder = study("unet.width", [4], "generations=1"), Store(str(tmp_path / "s")), StudyFolder(tmp_path)
    seen = []

    class Curious(Looking):
        def check(self):
            super().check()
            seen.append(folder.read_status())

    with alone(folder):
        run_study(made, store, folder, Inline(), Curious())
    assert {said.state for said in seen} == {"running"}
    assert any(said.running and said.running[0].label == "unet.width=4 seed=0 gen 0 member 0" for said in seen)
    last = folder.read_status()
    assert (last.state, last.trials_ended, last.stages_ended) == ("ended", {"completed": 1}, {"finished": 2})
    assert (last.stages, last.waiting, last.slots, last.running) == (2, 0, 1, ())
    assert not list(tmp_path.glob(".status*"))


@pytest.mark.parametrize(("error", "state"), [(KeyboardInterrupt(), "interrupted"), (ValueError("no\nmore"), "failed")])
def test_how_a_run_breaks_off_is_written(tmp_path, error, state):
    def run() -> None:
        with recorded(Looking(), "mine", 3, StudyFolder(tmp_path)):
            raise error

    with pytest.raises(type(error)):
        run()
    said = StudyFolder(tmp_path).read_status()
    assert (said.state, said.message) == (state, "no" if state == "failed" else None)


def test_it_is_written_once_a_second_at_most_and_whoever_is_asked_hears_all(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    folder, observer, told = StudyFolder(tmp_path), Looking(), []
    observer.ended = lambda key, ending: told.append((key, ending))
    steps = Running("a", "train_member", started=90.0, step=1, steps=9, moved=101.5)
    with recorded(observer, "mine", 3, folder) as record:
        record.watch(lambda: Snapshot(5, (Ended("b", "reused", 0.0),), (steps,), 60.0, slots=2))
        record.ended(("arm", 0), Ending("failed", "it fails"))
        record.check()
        assert folder.read_status().stages == 0, "written a moment ago"
        clock[0] += 1.5
        record.check()
        assert folder.read_status().running == (RunningStage("a", 11.5, 0.0, 1, 9),)
        clock[0] += 200
        record.check()
        said = folder.read_status()
        assert said.running == (RunningStage("a", 211.5, 200.0, 1, 9),)
        assert (said.trials_ended, said.stages_ended) == ({"failed": 1}, {"reused": 1})
    assert told == [(("arm", 0), Ending("failed", "it fails"))]


def test_no_room_for_a_status_stops_no_study(tmp_path):
    with recorded(Looking(), "mine", 3, StudyFolder(tmp_path / "missing")) as record:
        record.watch(lambda: Snapshot(0, (), (), None))
        record.check()
    assert not (tmp_path / "missing").exists()


def test_a_stage_that_begins_again_is_a_retry(stage):
    monitor = Monitor()
    for count in (0, 1):
        monitor.begin(stage)
        assert monitor.snapshot().retried == count


def test_the_command_needs_neither_torch_nor_ray(tmp_path):
    folder = StudyFolder(tmp_path / "mine")
    folder.path.mkdir()
    folder.description.write_text("name: mine")
    code = (
        "import sys, cellab.__main__ as m\n"
        "try: m.main()\n"
        "finally: print([each for each in ('torch', 'ray') if each in sys.modules], file=sys.stderr)"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "status", str(folder.path), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert "mine has no status.json: no command has run" in " ".join(run().stderr.split())
    folder.write_status(replace(STATUS, state="ended", running=()).to_json())
    done = run("--watch")
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    assert done.stdout.startswith("gan_loss: ended after 10 min")
