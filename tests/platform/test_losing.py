"""What Ray's own deaths come to: what has gone is said, what is known is written, who can go on does."""

import signal
import socket
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorUnavailableError

from cellab import run
from cellab.errors import UnfinishedError
from cellab.executors import losing, ray_runner
from cellab.executors.broker import Failure
from cellab.executors.driver import StageError
from cellab.executors.inline import Inline
from cellab.executors.losing import Heartbeat
from cellab.executors.protocol import Executed, Lost
from cellab.executors.ray_runner import RayRunner, answer
from cellab.store import Store
from cellab.study_files.claim import alone
from cellab.study_files.folder import StudyFolder


class Scripted:
    """An actor whose methods answer from lists, and keep what they were asked."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def __getattr__(self, name):
        def remote(*arguments):
            self.asked.append((name, *arguments))
            left = self.answers.get(name, [])
            return left.pop(0) if left else None

        return SimpleNamespace(remote=remote)


@pytest.fixture(autouse=True)
def no_ray(monkeypatch):
    """`ray.get` gives what it is given, or raises it; nobody sleeps."""

    def get(what):
        if isinstance(what, Exception):
            raise what
        return what

    monkeypatch.setattr(ray_runner.ray, "get", get)
    monkeypatch.setattr(ray_runner.time, "sleep", lambda _: None)


def unavailable() -> ActorUnavailableError:
    return ActorUnavailableError("it is started again", b"0" * 16)


def test_a_broker_that_was_started_again_is_asked_again(study):
    (lineage,) = study("unet.width", [4], "generations=1").lineages
    key = lineage.stages[0].key
    broker = Scripted(outcome=[unavailable(), None, "outcome"])
    runner = RayRunner(broker)
    runner.start(lineage)
    assert runner.wait(key) == "outcome"
    assert [name for name, *_ in broker.asked] == ["add", "ask", "outcome", "outcome", "add", "ask", "outcome"]


def test_a_failure_says_where():
    runner = RayRunner(Scripted(outcome=[Failure("out of memory", "gen 0 member 1")]))
    with pytest.raises(StageError, match="out of memory") as raised:
        runner.wait("key")
    assert raised.value.part == "gen 0 member 1"


def test_patience_with_an_actor_has_an_end():
    with pytest.raises(ActorUnavailableError):
        answer(Scripted(look=[unavailable() for _ in range(99)]).look.remote)


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(losing, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_cluster_elsewhere_is_lost_once_it_has_been_silent_for_a_while(monkeypatch, clock):
    listening = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{listening.getsockname()[1]}"
    monkeypatch.setattr(losing.ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address=address))
    heartbeat = Heartbeat(own=False)
    clock[0] = 30.0
    assert heartbeat.lost() is None
    listening.close()
    clock[0] = 36.0
    assert heartbeat.lost() is None, "once may be chance"
    clock[0] = 50.0
    assert f"nothing answers at {address} any more" in str(heartbeat.lost())


@pytest.mark.parametrize(("dead", "told"), [("gcs_server", "control service"), ("raylet", "node service")])
def test_a_cluster_of_our_own_is_lost_with_any_of_its_services(monkeypatch, clock, dead, told):
    def service(name):
        return SimpleNamespace(process=SimpleNamespace(poll=lambda: -signal.SIGKILL if name == gone[0] else None))

    processes = {name: [service(name)] for name in ("gcs_server", "raylet", "log_monitor")}
    gone = ["log_monitor"]
    monkeypatch.setattr(losing.ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address="127.0.0.1:1"))
    monkeypatch.setattr(losing.ray._private.worker, "_global_node", SimpleNamespace(all_processes=processes))
    heartbeat = Heartbeat(own=True)
    assert heartbeat.lost() is None, "a study does without it"
    gone[0] = dead
    assert told in str(heartbeat.lost())


def test_what_is_known_is_written_when_the_cluster_has_gone(study, tmp_path):
    made, folder = study("unet.width", [4, 5], "generations=1"), StudyFolder(tmp_path / "small")
    store = Store(str(tmp_path / "store"))

    class Dying(Inline):
        def run(self, lineages, *rest):
            executed = super().run(lineages[:1], *rest)
            raise Lost("the raylet has ended", Executed(executed.endings, executed.snapshot))

    with pytest.raises(UnfinishedError) as raised, alone(folder):
        run.run_study(made, store, folder, Dying(), run.Nobody())
    assert raised.value.exit_status == 3
    assert str(raised.value).startswith("the raylet has ended. 2 of 4 stages are finished and stored, and the same ")
    assert "\n" not in str(raised.value)
    assert folder.report.is_file()
    assert [trial.status for trial in folder.read_ranking().trials] == ["completed", "stopped"]
