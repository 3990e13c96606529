"""Random streams: by name, none of which moves another."""

import torch

from cellab.training.streams import Streams

CPU = torch.device("cpu")


def numbers(streams: Streams, name: str) -> list[float]:
    return torch.rand(4, generator=streams[name]).tolist()


def of_torch(streams: Streams, name: str) -> list[float]:
    with streams.torchs(name):
        return torch.rand(4).tolist()


def test_every_name_and_every_seed_has_a_stream_of_its_own():
    names = ("crops", "noise", "dropout", "initialisation")
    drawn = [tuple(numbers(Streams(seed, CPU), name)) for seed in (0, 1) for name in names]
    drawn += [tuple(of_torch(Streams(seed, CPU), name)) for seed in (0, 1) for name in ("dropout of torch",)]
    assert len(set(drawn)) == len(drawn)


def test_what_one_stream_is_asked_for_changes_nothing_of_the_others():
    alone, beside = Streams(3, CPU), Streams(3, CPU)
    for _ in range(3):
        numbers(beside, "noise")
        of_torch(beside, "initialisation")
        torch.rand(5)
        assert numbers(alone, "crops") == numbers(beside, "crops")
        assert of_torch(alone, "dropout") == of_torch(beside, "dropout")


def test_torchs_own_generator_is_put_back():
    before = torch.get_rng_state()
    of_torch(Streams(0, CPU), "dropout")
    assert torch.equal(torch.get_rng_state(), before)


def test_they_go_on_from_a_state():
    one, two = Streams(5, CPU), Streams(5, CPU)
    numbers(one, "crops")
    of_torch(one, "dropout")
    two.load_state_dict(one.state_dict())
    assert numbers(one, "crops") == numbers(two, "crops")
    assert of_torch(one, "dropout") == of_torch(two, "dropout")
