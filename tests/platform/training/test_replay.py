"""The replay buffer: first in, first out, and every kept pair as likely as any other."""

import pytest
import torch

from cellab.training.replay import Batch, ReplayBuffer

CPU = torch.device("cpu")


def pairs(*values: float) -> Batch:
    images = torch.tensor(values)[:, None, None, None].expand(-1, 1, 2, 2)
    return Batch(images, images + 0.25, images + 0.5)


def values(batch: Batch) -> list[float]:
    assert torch.equal(batch.targets, batch.images + 0.25)
    assert torch.equal(batch.weights, batch.images + 0.5)
    return batch.images[:, 0, 0, 0].tolist()


def kept(buffer: ReplayBuffer) -> list[float]:
    return values(Batch.of_state(buffer.state_dict(), CPU))


@pytest.mark.parametrize("sizes", [[1] * 7, [3, 4], [2, 5], [7], [4, 0, 3]])
@pytest.mark.parametrize("capacity", [1, 3, 5, 100])
def test_the_last_pairs_are_kept_however_they_come(capacity, sizes):
    buffer, given = ReplayBuffer(capacity), iter(range(7))
    for size in sizes:
        buffer.push(pairs(*(next(given) for _ in range(size))))
    assert kept(buffer) == list(range(7))[-capacity:]
    assert len(buffer) == min(7, capacity)


def test_a_large_capacity_takes_no_room_before_it_is_needed():
    buffer = ReplayBuffer(10**12)
    for value in range(200):
        buffer.push(pairs(value))
    assert kept(buffer) == list(range(200))


def test_draws_are_uniform_over_what_is_kept():
    buffer = ReplayBuffer(4)
    buffer.push(pairs(*range(6)))
    drawn = values(buffer.sample(4000, torch.Generator().manual_seed(0)))
    counts = torch.tensor(drawn).long().bincount(minlength=6)
    assert counts[:2].tolist() == [0, 0]
    assert ((counts[2:] - 1000).abs() < 150).all()


def test_draws_after_a_checkpoint_are_those_that_would_have_come():
    one, two = ReplayBuffer(4), ReplayBuffer(4)
    one.push(pairs(*range(4)))
    one.push(pairs(9))  # now the oldest is not the first in memory
    two.load_state_dict(one.state_dict(), CPU)
    first, second = (buffer.sample(20, torch.Generator().manual_seed(1)) for buffer in (one, two))
    assert values(first) == values(second)


def test_nothing_is_drawn_from_nothing():
    buffer = ReplayBuffer(4)
    assert buffer.state_dict() == {}
    with pytest.raises(IndexError, match="nothing is kept"):
        buffer.sample(1, torch.Generator())
