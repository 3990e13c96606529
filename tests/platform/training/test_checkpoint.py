"""Checkpoints: a loop that goes on from one ends with the same bytes."""

import torch
from torch import nn

from cellab.stage import CheckpointFile
from cellab.training.checkpoint import Checkpoint, RandomState
from cellab.training.determinism import deterministic, generator
from cellab.training.history import History


class Disk:
    """A file in memory."""

    content: bytes | None = None

    def file(self) -> CheckpointFile:
        return CheckpointFile(lambda: self.content, lambda content: setattr(self, "content", content), seconds=0.0)


def loop(disk: Disk, steps: int, stop: int | None = None) -> bytes:
    """A training loop with dropout, Adam, a schedule and a random stream of its own."""
    with deterministic(1, 7):
        stream = generator(3)
        network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.1, total_steps=steps)
        history = History(steps)
        parts = {"network": network, "optimiser": optimiser, "schedule": schedule, "history": history}
        checkpoint = Checkpoint(disk.file(), {**parts, "random": RandomState(stream)})
        for step in range(checkpoint.restore() + 1, steps + 1):
            loss = network(torch.randn(6, 4, generator=stream)).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            history.add(loss=loss.item())
            checkpoint.save_if_due(step)
            if step == stop:
                break
        state = torch.cat([value.double().flatten() for value in network.state_dict().values()])
        return state.numpy().tobytes() + str(history.report()).encode()


def test_an_interrupted_loop_ends_with_the_same_bytes():
    whole = loop(Disk(), 30)
    disk = Disk()
    loop(disk, 30, stop=11)
    assert disk.content is not None
    assert loop(disk, 30) == whole


def test_a_checkpoint_is_not_written_before_its_time():
    written = []
    checkpoint = Checkpoint(CheckpointFile(lambda: None, written.append, seconds=3600.0), {})
    checkpoint.save_if_due(1)
    assert written == []
    assert checkpoint.restore() == 0


def test_determinism_is_undone_afterwards():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with deterministic(1, 5):
        assert torch.get_num_threads() == 1
        first = torch.rand(3)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
    with deterministic(1, 5):
        assert torch.equal(torch.rand(3), first)


def test_history_averages_over_stretches():
    history = History(200)
    for step in range(1, 201):
        history.add(loss=float(step))
    report = history.report()
    assert report["step"] == list(range(2, 201, 2))
    assert report["loss"][0] == 1.5
