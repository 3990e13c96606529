"""Interrupted is not failed: what Ctrl-C, SIGTERM or SIGHUP stops is called so, and what had failed before is not."""

import io
import json
import os
import signal
import threading

import pytest
from rich.console import Console

from cellab import run, stages
from cellab.cli import interruption
from cellab.cli.screen import Screen
from cellab.cli.tables import ranking_table
from cellab.compose import compose_trial
from cellab.executors.driver import Ending
from cellab.executors.inline import Inline
from cellab.executors.on_ray import OnRay
from cellab.executors.protocol import Nobody, Stopped
from cellab.results import write_results
from cellab.stopping import SIGNALS
from cellab.store import Store
from cellab.study_files.claim import alone
from cellab.study_files.folder import StudyFolder


@pytest.fixture
def interrupted(monkeypatch):
    """`interrupted(number, stop)`: the stage of that number, counted from 0, calls `stop`; those before it run."""

    def at(number, stop):
        whole, begun = stages.run, []

        def counting(stage, *arguments, **options):
            begun.append(stage)
            return stop(*arguments) if len(begun) == number + 1 else whole(stage, *arguments, **options)

        monkeypatch.setattr(stages, "run", counting)
        return begun

    return at


def ctrl_c(*_):
    raise KeyboardInterrupt


def signalled(number):
    """Sends a signal to this process, whose handler answers at once."""

    def send(*_):
        os.kill(os.getpid(), number)
        pytest.fail("the signal was not heard")

    return send


def stopped_inline(made, store, observer=None):
    """What had come of a study by the time that it was stopped."""
    with pytest.raises(Stopped) as stopped:
        Inline().run(made.lineages, store, made.data_path, observer or Nobody())
    return stopped.value.executed


def trials_of(folder):
    arms = json.loads((folder / "arms.json").read_text())["arms"]
    return {(arm["arm"], trial["seed"]): trial for arm in arms for trial in arm["trials"]}


def test_the_stage_that_ran_is_stopped_and_those_after_it_had_not_begun(study, tmp_path, interrupted):
    made = study("unet.width", [4, 5], "generations=1", seeds=(0, 1))
    begun = interrupted(3, ctrl_c)  # arm 4: two stages for each seed
    store = Store(str(tmp_path / "store"))
    executed = stopped_inline(made, store)
    assert [(ended.label, ended.how) for ended in executed.snapshot.ended] == [
        (stage.label, "stopped" if n == 3 else "finished") for n, stage in enumerate(begun)
    ]
    assert executed.snapshot.running == ()
    ranking = write_results(made, store, executed.endings, StudyFolder(tmp_path))
    trials = trials_of(tmp_path)
    assert [trial["status"] for trial in trials.values()] == ["completed", "stopped", "stopped", "stopped"]
    assert trials["unet.width=4", 1]["stage"] == "gen 0 evaluation"
    assert trials["unet.width=5", 0] == {
        **{"seed": 0, "status": "stopped", "stage": None, "step": None},
        "message": "it had not begun",
    }
    assert [(arm.completed, arm.failed, arm.stopped) for arm in ranking.arms] == [(1, 0, 1), (0, 0, 2)]
    console = Console(width=140)
    with console.capture() as captured:
        console.print(ranking_table(ranking, 140))
    assert "1/2 (1 stopped)" in captured.get()
    assert "unet.width=4 seed=1 stopped in gen 0 evaluation: it was stopped before its end" in captured.get()
    assert "failed" not in captured.get()


def test_a_stage_that_several_trials_share_stops_them_all(study, tmp_path, interrupted):
    made = study("gan_loss", ["ns", "wgan"])
    interrupted(0, ctrl_c)
    endings = stopped_inline(made, Store(str(tmp_path))).endings.values()
    assert [(ending.status, ending.stage) for ending in endings] == [("stopped", "gen 0 member 0")] * 2


def test_what_had_failed_or_diverged_before_stays_so(study, tmp_path, monkeypatch):
    overrides = ("generations=1", "training.learning_rate_schedule=null", "training.steps=3")
    made = study("training.optimiser.lr", [1e30, 0.002, 0.001], *overrides)
    whole = stages.run

    def running(stage, *arguments):
        lr = stage.request.settings.optimiser["lr"] if stage.kind == "train_member" else 1e30
        if lr == 0.002:
            raise RuntimeError("out of memory")
        return ctrl_c() if lr == 0.001 else whole(stage, *arguments)

    monkeypatch.setattr(stages, "run", running)
    store = Store(str(tmp_path / "store"))
    executed = stopped_inline(made, store)
    assert [ended.how for ended in executed.snapshot.ended] == ["diverged", "failed", "stopped"]
    write_results(made, store, executed.endings, StudyFolder(tmp_path))
    trials = list(trials_of(tmp_path).values())
    assert sorted(trial["status"] for trial in trials) == ["diverged", "failed", "stopped"]
    (failed,) = [trial for trial in trials if trial["status"] == "failed"]
    assert failed["message"] == "RuntimeError: out of memory"


def test_what_had_failed_in_an_earlier_run_is_kept_when_the_next_is_interrupted_before_it(study, tmp_path, interrupted):
    made, folder = study("unet.width", [4, 5], "generations=1", "executor=inline"), StudyFolder(tmp_path / "small")
    store = Store(str(tmp_path / "store"))
    earlier = {("unet.width=5", 0): Ending("failed", "out of luck"), ("unet.width=4", 0): Ending("failed", "likewise")}
    folder.path.mkdir()
    write_results(made, store, earlier, folder)
    interrupted(2, ctrl_c)  # the second arm's first
    with pytest.raises(KeyboardInterrupt), alone(folder):
        run.run_study(made, store, folder, Inline(), run.Nobody())
    trials = trials_of(folder.path)
    assert trials["unet.width=4", 0]["status"] == "completed", "it did better"
    assert (trials["unet.width=5", 0]["status"], trials["unet.width=5", 0]["message"]) == ("failed", "out of luck")


@pytest.fixture
def console():
    return Console(stderr=True, width=200)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_stops_a_study_which_writes_what_it_has(
    study, tmp_path, interrupted, monkeypatch, console, capsys, number
):
    made = study("unet.width", [4, 5], "generations=1", "executor=inline")
    interrupted(1, signalled(number))
    wrote = []

    def writing(*arguments):
        os.kill(os.getpid(), signal.SIGINT)  # a second one must not spoil what is written
        wrote.append(write_results(*arguments))
        return wrote[-1]

    monkeypatch.setattr(run, "write_results", writing)
    before = [signal.getsignal(each) for each in SIGNALS]
    folder = tmp_path / "small"
    with pytest.raises(KeyboardInterrupt), alone(StudyFolder(folder)), interruption.stoppable():
        run.run_study(made, Store(str(tmp_path / "store")), StudyFolder(folder), Inline(), Screen(console))
    assert wrote
    assert [signal.getsignal(each) for each in SIGNALS] == before
    told = capsys.readouterr().err
    assert "[2/4] unet.width=4 seed=0 gen 0 evaluation stopped" in told
    assert "Stopped. 1 of 4 stages are finished" in told
    assert "failed" not in told
    assert "0 failed, 2 stopped" in (folder / "report.html").read_text(encoding="utf-8")
    assert {trial["status"] for trial in trials_of(folder).values()} == {"stopped"}
    counted = json.loads((folder / "provenance.json").read_text())["stages"]
    assert {how: number for how, number in counted.items() if number} == {"finished": 1, "stopped": 1}


def test_a_ctrl_c_before_any_stage_writes_what_there_is_too(study, tmp_path):
    made, folder = study("unet.width", [4], "generations=1", "executor=inline"), StudyFolder(tmp_path / "small")

    class Hasty(Inline):
        def run(self, *_):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), alone(folder):
        run.run_study(made, Store(str(tmp_path / "store")), folder, Hasty(), run.Nobody())
    assert {trial["status"] for trial in trials_of(folder.path).values()} == {"stopped"}
    assert folder.report.is_file()


def test_signals_that_come_when_all_is_done_or_that_are_ignored_stop_nothing(
    study, tmp_path, monkeypatch, console, interrupted
):
    made = study("unet.width", [4], "generations=1", "executor=inline")
    whole = stages.run
    interrupted(0, lambda *arguments: (os.kill(os.getpid(), signal.SIGHUP), whole(first, *arguments))[1])
    first = made.trials[0].lineage.stages[0]
    monkeypatch.setattr(run, "write_reports", lambda _: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        folder = StudyFolder(tmp_path / "small")
        with alone(folder), interruption.stoppable():
            ran = run.run_study(made, Store(str(tmp_path / "store")), folder, Inline(), Screen(console))
    finally:
        signal.signal(signal.SIGHUP, before)
    assert ran.ranking.arms[0].completed == 1


def test_a_ctrl_c_that_a_callback_swallows_is_not_lost(study, tmp_path, monkeypatch, capsys):
    made = study("unet.width", [4], "generations=1")

    class Callback:
        def __del__(self):
            os.kill(os.getpid(), signal.SIGINT)

    def running(_stage, _store, _data_path, progress, *_):
        Callback()  # Python only warns of what is raised in there
        progress(1, 10)
        pytest.fail("it went on")

    monkeypatch.setattr(stages, "run", running)
    with interruption.stoppable():
        stopped_inline(made, Store(str(tmp_path)), Screen(Console(file=io.StringIO())))
    assert "KeyboardInterrupt" not in capsys.readouterr().err


def test_what_is_deferred_is_found_and_who_insists_is_heard():
    with interruption.stoppable():
        with interruption.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interruption.check()
        interruption.received()
        os.kill(os.getpid(), signal.SIGTERM)
        interruption.check()


def test_ctrl_c_on_ray_leaves_what_had_failed_and_stops_the_rest(study, tmp_path, ray_cluster):
    given = compose_trial(["data.path=x.h5"]).plain["segmentation_loss"]["_target_"]
    no_loss = "torch.nn.CosineEmbeddingLoss"  # of images: it keeps the contract, and breaks when called
    made = study("segmentation_loss._target_", [no_loss, given], "training.steps=1000000")
    last = []
    observer = Screen(Console(file=io.StringIO()))

    def watch(look):
        last.append(look)
        if len(last) == 1:
            threading.Thread(target=stop, args=(look,), daemon=True).start()

    def stop(look):
        steps = set()  # that the good one reports after the bad one has failed, so that the bad trial has ended too
        while len(steps) < 3:
            snapshot = look()
            if any(ended.how == "failed" for ended in snapshot.ended):
                steps |= {running.step for running in snapshot.running if given in running.label}
        os.kill(os.getpid(), signal.SIGINT)

    observer.watch = watch
    store = Store(str(tmp_path / "store"))
    with interruption.stoppable(), pytest.raises(Stopped) as stopped:
        OnRay(None, tmp_path / "logs").run(made.lineages, store, made.data_path, observer)
    bad, good = stopped.value.executed.endings.values()
    assert good.status == "stopped"
    assert "gen 0 member 0" in good.stage.split(", "), "and the generator beside it, if it was still running"
    assert bad.status == "failed"
    assert "multi-target not supported" in bad.message
    how = {ended.how for ended in last[-1]().ended}
    assert {"failed", "stopped"} <= how <= {"failed", "stopped", "finished"}
