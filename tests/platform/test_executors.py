"""Running studies: the same bytes inline and on Ray, whatever the order; sharing, resuming, diverging, failing."""

import contextlib
import hashlib
import io
import os
import re
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import h5py
import polars as pl
import pytest
import ray
from rich.console import Console

from cellab import stages
from cellab.cli.screen import Screen
from cellab.compose import compose_trial
from cellab.data.synthetic import Phantom, synthesise
from cellab.executors import EXECUTORS
from cellab.executors.driver import Ending
from cellab.executors.inline import Inline, InlineRunner
from cellab.executors.monitor import Monitor
from cellab.executors.on_ray import OnRay
from cellab.executors.protocol import Executed, Nobody
from cellab.outcomes import Outcome
from cellab.requests import Evaluated
from cellab.results import write_results
from cellab.settings import Lineage
from cellab.stage import Limits
from cellab.store import Store
from cellab.study import plan
from cellab.study_files.folder import StudyFolder


def content(store: Store) -> dict[str, str]:
    """The digest of every file of every entry; what a stage cost is no part of it."""
    root = Path(store.root)
    files = [path for path in root.rglob("*") if path.is_file() and path.parent.name != "costs"]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def inline(study, store: Store, observer=None) -> Executed:
    return Inline().run(study.lineages, store, study.data_path, observer or Nobody())


def on_ray(study, store: Store, logs: Path, observer=None) -> Executed:
    return OnRay(None, logs).run(study.lineages, store, study.data_path, observer or Nobody())


def run_inline(study, folder: Path) -> Store:
    store = Store(str(folder))
    endings = inline(study, store).endings
    assert {ending.status for ending in endings.values()} == {"completed"}
    return store


@pytest.mark.slow
def test_inline_and_ray_leave_the_same_bytes(study, tmp_path, ray_cluster):
    made = study("gan_loss", ["ns_gp", "wgan"], "members=2", seeds=(0, 1))
    one = run_inline(made, tmp_path / "inline")
    two = Store(str(tmp_path / "ray"))
    endings = on_ray(made, two, tmp_path / "logs").endings
    assert {ending.status for ending in endings.values()} == {"completed"}
    assert content(one) == content(two)
    assert set(endings) == {(arm.name, seed) for arm in made.arms for seed in (0, 1)}
    assert two.stored(list(made.stages)) == set(made.stages), "each distinct stage, and no other"


def test_the_order_of_execution_changes_nothing(study, tmp_path):
    made = study("unet.width", [4, 5])
    one = run_inline(made, tmp_path / "one")
    two = Store(str(tmp_path / "two"))
    runner = InlineRunner(two, made.data_path, Monitor(), Nobody())
    for trial in reversed(made.trials):
        runner.start(trial.lineage)
        for generation in reversed(trial.lineage.generations):
            for key in (generation.evaluation, *reversed(generation.members)):
                runner.wait(key)
    assert content(one) == content(two)


def test_a_second_run_computes_nothing(study, tmp_path, monkeypatch):
    made = study("gan_loss", ["ns", "wgan"])
    store = run_inline(made, tmp_path)
    before = content(store)
    monkeypatch.setattr(stages, "run", lambda *_: pytest.fail("a stored stage was run again"))
    snapshot = inline(made, store).snapshot
    assert content(store) == before
    assert {ended.how for ended in snapshot.ended} == {"reused"}
    stored = plan(made, store)["stages"]
    assert all(count["stored"] == count["distinct"] for count in stored.values())


def test_a_damaged_entry_is_computed_again(study, tmp_path):
    made = study("gan_loss", ["ns"])
    store = run_inline(made, tmp_path)
    before = content(store)
    victim = store.fetch(made.trials[0].lineage.generations[0].members[0]) / "unet.safetensors"
    victim.write_bytes(victim.read_bytes()[:-4] + b"oops")
    assert content(store) != before
    run_inline(made, tmp_path)
    assert content(store) == before


class Stopped(BaseException):
    """What a test throws where a user would kill."""


@pytest.mark.parametrize("kind", ["train_gan", "train_member"])
def test_a_stage_that_goes_on_from_its_checkpoint_ends_with_the_same_bytes(study, tmp_path, kind):
    overrides = ["training.steps=6", "gan.steps=6", "acceptance=running_mean"]
    made = study("gan_loss", ["ns_gp"], *overrides)
    whole = run_inline(made, tmp_path / "whole")
    stage = [stage for stage in made.stages.values() if stage.kind == kind][-1]
    store = Store(str(tmp_path / "stopped"))
    runner = InlineRunner(store, made.data_path, Monitor(), Nobody())
    runner.start(made.trials[0].lineage)
    for key in stage.needs:
        runner.wait(key)

    def stop_late(step: int, steps: int) -> None:
        if step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        stages.run(stage, store, made.data_path, stop_late, checkpoint_seconds=0.0)
    assert not store.has(stage.key)
    assert store.read_checkpoint(stage.key) is not None

    steps = []
    stages.run(stage, store, made.data_path, lambda step, _: steps.append(step), checkpoint_seconds=0.0)
    assert steps[0] == 4, "it went on from step 3"
    assert store.read_checkpoint(stage.key) is None
    kept = {name: digest for name, digest in content(store).items() if stage.key in name}
    assert kept
    assert kept.items() <= content(whole).items()


@pytest.mark.parametrize(
    "damage", [lambda _: b"", lambda content: content[:-9], lambda content: content[:-4] + b"oops"]
)
def test_a_damaged_checkpoint_is_told_once_and_its_stage_starts_afresh(study, tmp_path, damage):
    made = study("gan_loss", ["ns"], "training.steps=6", "generations=1")
    whole = run_inline(made, tmp_path / "whole")
    stage = next(stage for stage in made.stages.values() if stage.kind == "train_member")
    store = Store(str(tmp_path / "stopped"))

    def stop_late(step: int, steps: int) -> None:
        if step == 4:
            raise Stopped

    with pytest.raises(Stopped):
        stages.run(stage, store, made.data_path, stop_late, checkpoint_seconds=0.0)
    path = Path(store.checkpoint_url(stage.key))
    path.write_bytes(damage(path.read_bytes()))
    shown = io.StringIO()
    screen = Screen(Console(file=shown, width=80))
    with screen.running():
        endings = inline(made, store, screen).endings
    assert {ending.status for ending in endings.values()} == {"completed"}
    assert content(store) == content(whole)
    notice = f"notice: {stage.label}: its checkpoint {path} cannot be used (it is damaged): it starts afresh."
    assert shown.getvalue().count(notice) == 1


def brighter(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        for frames in (group["frames"] for group in file["scales"].values()):
            frames[:, 5, 5] ^= 1


def other_splits(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["split"][:] = file["split"][:][::-1]


def another(path: Path) -> None:
    synthesise(path, Phantom(n_frames=18, size=96, seed=4), overwrite=True)


@pytest.mark.parametrize("meddle", [brighter, other_splits, another])
@pytest.mark.parametrize("hidden", [(), ("data.hidden_share=0.5",)])
def test_a_data_set_that_changes_under_a_lineage_leaves_nothing_wrong(study, tmp_path, phantom, meddle, hidden):
    path = Path(shutil.copy(phantom, tmp_path / "cells.h5"))
    made = study("gan_loss", ["ns"], f"data.path={path}", "generations=1", "members=2", *hidden)
    whole = run_inline(made, tmp_path / "whole")
    store = Store(str(tmp_path / "store"))

    class Meddler(Nobody):
        """Changes the file while the first member is trained."""

        changed = False

        def check(self):
            if not self.changed:
                self.changed = True
                meddle(path)

    (ending,) = inline(made, store, Meddler()).endings.values()
    assert ending.status == "failed"
    assert str(ending.message).startswith(f"{path} changed while the study ran")
    kept = {name: digest for name, digest in content(store).items() if not name.startswith("content")}
    assert kept, "the first member had read the right frames"
    assert kept.items() < content(whole).items()

    shutil.copy(phantom, path)
    run_inline(made, tmp_path / "store")
    assert content(store) == content(whole)


def test_code_or_data_that_changed_in_mid_study_is_noticed(study, tmp_path, phantom, monkeypatch):
    from cellab.errors import CellabError, DataError

    stage = study("gan_loss", ["ns"]).trials[0].lineage.stages[0]
    store = Store(str(tmp_path))
    with pytest.raises(CellabError, match="the code changed while the study ran"):
        stages.run(replace(stage, code="0"), store, phantom, lambda *_: None)
    other = replace(stage.request, data=replace(stage.request.data, digest="0"))
    with pytest.raises(DataError, match=r"phantom\.h5 changed while the study ran"):
        stages.run(replace(stage, request=other), store, phantom, lambda *_: None)
    assert content(store) == {}


def test_a_member_that_diverges_ends_its_trial_and_no_other(study, tmp_path, ray_cluster):
    made = study("training.optimiser.lr", [0.001, 1e30], "training.learning_rate_schedule=null", "training.steps=5")
    store = Store(str(tmp_path / "store"))
    endings = on_ray(made, store, tmp_path / "logs").endings
    assert [ending.status for ending in endings.values()] == ["completed", "diverged"], endings
    arms = {arm.arm: arm for arm in write_results(made, store, endings, StudyFolder(tmp_path)).arms}
    diverged = arms["training.optimiser.lr=1e+30"]
    assert diverged.rank is None
    assert (diverged.completed, diverged.diverged) == (0, 1)
    trial = diverged.trials[0]
    assert trial.status == "diverged"
    assert trial.stage == "gen 0 member 0"
    assert 1 <= trial.step <= 5
    assert arms["training.optimiser.lr=0.001"].rank == 1
    assert set(pl.read_parquet(tmp_path / "results.parquet")["arm"]) == {"training.optimiser.lr=0.001"}


def test_a_gan_that_diverges(study, tmp_path):
    made = study("gan_loss.optimiser.lr", [1e38], "gan.steps=6")
    store = Store(str(tmp_path))
    endings = inline(made, store).endings
    (ending,) = endings.values()
    assert ending.status == "diverged"
    told = r"the loss of the (generator|discriminator \d+) became (nan|-?inf) at step \d+"
    assert re.fullmatch(told, str(ending.message))
    outcome: Outcome = store.outcome(made.stages[made.trials[0].lineage.gan])
    assert outcome.diverged
    assert outcome.diverged.step >= 1
    hows = {ended.how for ended in inline(made, store).snapshot.ended}
    assert "finished" not in hows, "a divergence is a result: it is reused"


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_whatever_breaks_a_stage_ends_its_trial_alone(study, tmp_path, request, caplog, executor):
    given = compose_trial(["data.path=x.h5"]).plain["segmentation_loss"]["_target_"]
    made = study("segmentation_loss._target_", [given, "torch.nn.CosineEmbeddingLoss"])  # no loss of images
    store = Store(str(tmp_path / "store"))
    if executor == "inline":
        endings = inline(made, store).endings
        assert "Traceback" in caplog.text, "who debugs needs to know where"
    else:
        request.getfixturevalue("ray_cluster")
        endings = on_ray(made, store, tmp_path / "logs").endings
    good, bad = endings.values()
    assert good.status == "completed"
    assert bad.status == "failed"
    assert bad.message == "RuntimeError: 0D or 1D target tensor expected, multi-target not supported"


def test_what_ends_last_is_shown_too(study, tmp_path, ray_cluster):
    made = study("gan_loss", ["ns"])
    console = Console(file=io.StringIO(), width=200)
    screen = Screen(console)
    with screen.running():
        on_ray(made, Store(str(tmp_path / "store")), tmp_path / "logs", screen)
    lines = console.file.getvalue().splitlines()
    count = len(made.stages)
    assert [line.partition("]")[0] for line in lines] == [f"[{n}/{count}" for n in range(1, count + 1)]


def scores(made, store: Store) -> dict[str, list[float]]:
    """Precision and recall of each arm's last generation on validation."""
    found = {}
    for trial in made.trials:
        rows = store.outcome(made.stages[trial.lineage.generations[-1].evaluation]).of(Evaluated).rows
        wanted = [row for row in rows if row.split == "validation" and row.average == "micro"]
        found[trial.arm.name] = [row.value for row in wanted if row.metric in ("precision", "recall")]
    return found


def test_the_vote_that_evaluates_decides(study, tmp_path):
    """Its threshold moves what is called a cell: at 0 all is, close to 1 nothing."""
    made = study("evaluation.voting.threshold", [0.0, 0.999999], "generations=1")
    everything, nothing = scores(made, run_inline(made, tmp_path / "store")).values()
    assert everything[1] == 1.0
    assert nothing[1] == 0.0


def test_results_have_every_metric_of_every_generation(study, tmp_path):
    made = study("gan_loss", ["ns", "wgan"], seeds=(0, 1))
    store = run_inline(made, tmp_path / "store")
    write_results(made, store, {}, StudyFolder(tmp_path))
    results = pl.read_parquet(tmp_path / "results.parquet")
    assert results.columns == ["arm", "seed", "generation", "split", "reference", "average", "metric", "value"]
    assert set(results["arm"]) == {"gan_loss=ns", "gan_loss=wgan"}
    assert set(results["generation"]) == {0, 1}
    assert set(results["split"]) == {"train", "validation", "test"}
    one = results.filter(
        (pl.col("split") == "test") & (pl.col("reference") == "truth") & (pl.col("average") == "micro")
    )
    assert {"dice", "jaccard", "precision", "recall"} <= set(one["metric"])
    assert (
        not results.select("arm", "seed", "generation", "split", "reference", "average", "metric").is_duplicated().any()
    )
    assert results["value"].is_between(0, 1).all()
    hidden = results.filter(pl.col("metric") == "hidden_recall")
    assert set(hidden["reference"]) == {"truth"}
    assert "train" in set(hidden["split"])
    counters = pl.read_parquet(tmp_path / "pseudo_labels.parquet")
    assert set(counters["source"]) == {"pseudo", "generated"}
    assert set(counters["generation"]) == {1}
    left = counters["tried"] - sum(
        counters[name] for name in ("rejected_by_prominence", "rejected_by_entropy", "rejected_as_empty", "accepted")
    )
    assert (left == 0).all()


def test_more_threads_than_the_cluster_has(study, tmp_path, ray_cluster):
    from cellab.errors import CellabError

    made = study("gan_loss", ["ns"], "resources.threads=64")
    with pytest.raises(CellabError, match=r"resources\.threads: 64 are more than the \d+ CPUs"):
        on_ray(made, Store(str(tmp_path / "store")), tmp_path / "logs")


def test_a_source_that_gives_nothing_is_reported_and_the_others_take_its_share(study, tmp_path):
    """A gate that never accepts leaves the given masks; the counters say so."""
    made = study("acceptance.inertia", [0.999999], "acceptance=running_mean", "pseudo_labels.max_tries=16")
    store = run_inline(made, tmp_path / "store")
    write_results(made, store, {}, StudyFolder(tmp_path))
    counters = pl.read_parquet(tmp_path / "pseudo_labels.parquet")
    assert set(counters["accepted"]) == {0}
    assert set(counters["gave_up"]) == {1}


def test_stages_run_side_by_side(study, tmp_path, ray_cluster):
    """Two CPUs hold two stages, and the trials' drivers besides."""
    made = study("gan_loss", ["ns", "wgan"], "generations=1", "training.steps=400", seeds=(0, 1))
    seen, done = [], threading.Event()

    def watch(look):
        def poll():
            while not done.wait(0.05):
                with contextlib.suppress(ray.exceptions.RayError):  # it is not there yet, or the study is over
                    seen.append(len(look().running))

        threading.Thread(target=poll, daemon=True).start()

    observer = Nobody()
    observer.watch = watch
    on_ray(made, Store(str(tmp_path / "store")), tmp_path / "logs", observer)
    done.set()
    assert max(seen) == min(2, int(ray.cluster_resources()["CPU"]))


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_lineages_come_one_by_one_once_it_is_known_how_others_ended(study, tmp_path, request, executor):
    """As a search has them: the second is made of what came of the first."""
    made = study("unet.width", [4, 5], "generations=1", "gan.steps=1")
    told, asked = [], []
    observer = Nobody()
    observer.ended = lambda key, ending: told.append((key, ending.status))

    def search():
        first, second = made.lineages
        yield first
        while not told:
            asked.append("too early")
            yield None
        yield second

    store = Store(str(tmp_path / "store"))
    if executor == "inline":
        executed = Inline().run(search(), store, made.data_path, observer)
    else:
        request.getfixturevalue("ray_cluster")
        executed = OnRay(None, tmp_path / "logs").run(search(), store, made.data_path, observer)
        assert asked == ["too early"], "not again before one has ended"
    assert told == [(("unet.width=4", 0), "completed"), (("unet.width=5", 0), "completed")]
    assert set(executed.endings) == {key for key, _ in told}
    assert executed.snapshot.total == len(made.stages)
    assert store.stored(list(made.stages)) == set(made.stages)


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_stages_that_nothing_waits_for_run_too(study, tmp_path, request, executor):
    made = study("gan_loss", ["ns"], "data_mix.generated=[0.5]", "data_mix.pseudo=[0.5]")
    (lineage,) = made.lineages
    gan = next(stage for stage in lineage.stages if stage.key == lineage.gan)
    members = [stage for stage in lineage.stages if stage.key in lineage.generations[0].members]
    alone = replace(lineage, stages=(*members, gan), generations=())
    store = Store(str(tmp_path / "store"))
    if executor == "ray":
        request.getfixturevalue("ray_cluster")
    run = Inline() if executor == "inline" else OnRay(None, tmp_path / "logs")
    executed = run.run([alone], store, made.data_path, Nobody())
    assert store.stored([stage.key for stage in alone.stages]) == {stage.key for stage in alone.stages}
    assert [ending.status for ending in executed.endings.values()] == ["completed"]


def test_what_lineages_that_come_one_by_one_need_is_held_against_the_cluster(study, tmp_path, ray_cluster):
    from cellab.errors import CellabError

    made = study("unet.width", [4], "resources.threads=64", "generations=1")
    with pytest.raises(CellabError, match=r"resources\.threads: 64 are more than the \d+ CPUs"):
        OnRay(None, tmp_path / "logs").run(iter(made.lineages), Store(str(tmp_path)), made.data_path, Nobody())


def test_a_trial_that_failed_in_a_stage_that_nobody_waits_for_has_failed(study, tmp_path):
    made = study("unet.width", [4], "generations=1")
    store = run_inline(made, tmp_path / "store")
    endings = {("unet.width=4", 0): Ending("failed", "the generator broke")}
    (arm,) = write_results(made, store, endings, StudyFolder(tmp_path)).arms
    assert (arm.completed, arm.failed) == (0, 1)
    assert arm.trials[0].message == "the generator broke"


def test_every_executor_that_can_be_chosen_stands_in_the_table():
    assert set(get_args(get_type_hints(Lineage)["executor"])) == set(EXECUTORS)


@pytest.mark.parametrize("executor", ["inline", "ray"])
def test_a_stage_that_takes_longer_than_it_may_ends_its_trial_alone(study, tmp_path, request, executor):
    made = study("training.steps", [2, 1_000_000], "generations=1")
    quick, endless = made.lineages
    limited = tuple(replace(stage, limits=Limits(seconds=3.0)) for stage in endless.stages)
    lineages = [quick, replace(endless, stages=limited)]
    store = Store(str(tmp_path / "store"))
    if executor == "ray":
        request.getfixturevalue("ray_cluster")
    run = Inline() if executor == "inline" else OnRay(None, tmp_path / "logs")
    executed = run.run(lineages, store, made.data_path, Nobody())
    good, bad = executed.endings.values()
    assert good.status == "completed"
    assert (bad.status, bad.stage) == ("failed", "gen 0 member 0")
    assert bad.message == "timed out: it ran longer than resources.stage_seconds=3"
    assert [ended.how for ended in executed.snapshot.ended].count("timed out") == 1


def killed(name: str) -> None:
    """Kills a process of this session's cluster: an actor's worker, by the name that Ray gives it."""
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if (folder / "cmdline").read_bytes().startswith(f"ray::{name}".encode()) and _is_ours(int(folder.name)):
                os.kill(int(folder.name), signal.SIGKILL)
                return
    pytest.fail(f"there is no ray::{name}")


def _is_ours(process: int) -> bool:
    while process > 1 and process != os.getpid():
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return process > 1


@pytest.mark.slow
def test_a_broker_and_a_driver_that_die_are_started_again_and_nothing_shows_it(study, tmp_path, ray_cluster):
    made = study("unet.width", [4, 5], "generations=1", "training.steps=60")
    whole = run_inline(made, tmp_path / "inline")
    store, victims, told = Store(str(tmp_path / "ray")), ["Broker", "ImplicitFunc"], []
    observer = Nobody()
    observer.warn = told.append

    def watch(look):
        def poll():
            while victims:
                with contextlib.suppress(ray.exceptions.RayError):
                    if look().running:
                        killed(victims.pop(0))

        if len(victims) == 2:
            threading.Thread(target=poll, daemon=True).start()

    observer.watch = watch
    endings = on_ray(made, store, tmp_path / "logs", observer).endings
    assert victims == []
    assert {ending.status for ending in endings.values()} == {"completed"}
    assert any("its driver died, and is started again" in text for text in told)
    assert content(store) == content(whole)
