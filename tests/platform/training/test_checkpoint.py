"""Checkpoints: a loop that goes on from one ends with the same bytes, and one that cannot be used is refused."""

import random

import pytest
import torch
from torch import nn

from cellab.stage import CheckpointFile
from cellab.training.checkpoint import Checkpoint
from cellab.training.determinism import deterministic
from cellab.training.history import History
from cellab.training.streams import Streams


class Disk:
    """A file in memory."""

    def __init__(self, content: bytes | None = None) -> None:
        self.content = content
        self.refused: list[str] = []

    def file(self, key: str = "key") -> CheckpointFile:
        return CheckpointFile(key, self.read, self.write, self.refused.append, seconds=0.0)

    def read(self) -> bytes | None:
        return self.content

    def write(self, content: bytes) -> None:
        self.content = content


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
        checkpoint = Checkpoint(disk.file(), lambda: Training(steps))
        checkpoint.restore()
        training = checkpoint.training
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


@pytest.fixture(scope="module")
def half() -> bytes:
    """The checkpoint of a loop that was stopped."""
    disk = Disk()
    loop(disk, 30, stop=11)
    assert disk.content is not None
    return disk.content


def test_whatever_befalls_a_checkpoint_the_loop_ends_with_the_same_bytes(half):
    """Bits flipped anywhere (what means nothing may pass), ends cut off, other bytes in its place."""
    rng = random.Random(5)
    whole = loop(Disk(), 30)
    header = 8 + int.from_bytes(half[:8], "little")
    for place in [*range(9), *rng.sample(range(header), 20), *rng.sample(range(header, len(half)), 20)]:
        disk = Disk(half[:place] + bytes([half[place] ^ 1 << rng.randrange(8)]) + half[place + 1 :])
        assert loop(disk, 30) == whole, place
        assert disk.refused or place < header, "a number of a tensor was not as it was written"
    for content in (*(half[:length] for length in (0, 4, 8, header, len(half) - 1)), half + b"more", b"{}" * 40):
        disk = Disk(content)
        assert loop(disk, 30) == whole
        assert disk.refused == ["it is damaged"]


def test_what_is_no_checkpoint_of_this_stage_or_format_is_refused(half, monkeypatch):
    disk = Disk(half)
    assert not Checkpoint(disk.file("another"), lambda: Training(30)).restore()
    monkeypatch.setattr("cellab.training.checkpoint.VERSION", "2")
    assert not Checkpoint(disk.file(), lambda: Training(30)).restore()
    assert disk.refused == ["it is of another stage", "it has format version 1, and this cellab reads version 2"]


def test_a_state_of_another_shape_leaves_nothing_behind(half):
    """Whatever was taken on before the part that does not fit."""

    class Wider(Training):
        def __init__(self) -> None:
            super().__init__(30)
            self.parts["history"] = nn.Linear(2, 2)

    disk = Disk(half)
    checkpoint = Checkpoint(disk.file(), Wider)
    assert not checkpoint.restore()
    assert len(disk.refused) == 1
    for name, value in Wider().network.state_dict().items():
        assert torch.equal(checkpoint.training.network.state_dict()[name], value)


def test_what_the_disk_does_not_give_is_refused():
    def unreadable() -> bytes:
        raise PermissionError(13, "Permission denied")

    refused: list[str] = []
    file = CheckpointFile("key", unreadable, pytest.fail, refused.append, seconds=0.0)
    assert not Checkpoint(file, lambda: Training(1)).restore()
    assert refused == ["[Errno 13] Permission denied"]


def test_a_checkpoint_is_not_written_before_its_time():
    written = []
    file = CheckpointFile("key", lambda: None, written.append, pytest.fail, seconds=3600.0)
    checkpoint = Checkpoint(file, lambda: Training(1))
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
