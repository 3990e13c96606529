"""Checkpoints: a loop that goes on from one ends with the same bytes."""

import torch
from torch import nn

from cellab.stage import CheckpointFile
from cellab.training.checkpoint import Checkpoint
from cellab.training.determinism import deterministic
from cellab.training.history import History
from cellab.training.streams import Streams


class Disk:
    """A file in memory."""

    content: bytes | None = None

    def file(self) -> CheckpointFile:
        return CheckpointFile(lambda: self.content, lambda content: setattr(self, "content", content), seconds=0.0)


class Training:
    """With dropout, Adam, a schedule and a random stream of its own."""

    def __init__(self, steps: int) -> None:
        self.streams = Streams(7, torch.device("cpu"))
        with self.streams.torchs("initialisation"):
            self.network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=0.01)
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimiser, 0.1, total_steps=steps)
        self.history = History(steps)
        self.parts = {name: value for name, value in vars(self).items() if hasattr(value, "state_dict")}

    def learn(self) -> None:
        with self.streams.torchs("dropout"):
            loss = self.network(torch.randn(6, 4, generator=self.streams["noise"])).square().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.schedule.step()
        self.history.add(loss=loss.item())

    def state_dict(self):
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state):
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


def loop(disk: Disk, steps: int, stop: int | None = None) -> bytes:
    """A training, stopped after some of its steps."""
    with deterministic(1):
        training = Training(steps)
        checkpoint = Checkpoint(disk.file(), training)
        checkpoint.restore()
        while training.history.step < (stop or steps):
            training.learn()
            checkpoint.save_if_due()
        state = torch.cat([value.double().flatten() for value in training.network.state_dict().values()])
        return state.numpy().tobytes() + str(training.history.report()).encode()


def test_an_interrupted_loop_ends_with_the_same_bytes():
    whole = loop(Disk(), 30)
    disk = Disk()
    loop(disk, 30, stop=11)
    assert disk.content is not None
    assert loop(disk, 30) == whole


def test_a_checkpoint_is_not_written_before_its_time():
    written = []
    checkpoint = Checkpoint(CheckpointFile(lambda: None, written.append, seconds=3600.0), Training(1))
    checkpoint.save_if_due()
    assert written == []
    assert not checkpoint.restore()


def test_determinism_is_undone_afterwards():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with deterministic(1):
        assert torch.get_num_threads() == 1
        torch.rand(3)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_history_averages_over_stretches():
    history = History(200)
    for step in range(1, 201):
        history.add(loss=float(step))
    report = history.report()
    assert report["step"] == list(range(2, 201, 2))
    assert report["loss"][0] == 1.5
