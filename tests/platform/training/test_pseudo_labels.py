"""The path of a pseudo-label: counters, gate, recombination, buffer (spec 4)."""

import torch

from cellab import components
from cellab.requests import Prominence
from cellab.settings import PseudoLabels
from cellab.training.crops import Crops
from cellab.training.names import Counters
from cellab.training.pseudo_labels import Labelling, PseudoLabelSource
from cellab.training.replay import Batch

CPU = torch.device("cpu")
SETTINGS = PseudoLabels(
    capacity=6,
    minimum=4,
    refresh_probability=0.5,
    batch_size=4,
    max_tries=40,
    refresh_tries=12,
    least_yield=0.0,
    minimum_prominence=None,
)


def certain(images):
    """A parent that is sure: its entropy is zero, so every gate lets it pass."""
    return 200 * (2 * (images > 0.5).float() - 1)


def proposals(count: int) -> Crops:
    images = torch.zeros(count, 1, 2, 2)
    images[:, :, 0] = 1
    return Crops(images, torch.zeros_like(images), truths=(images > 0.5).float(), tried=count + 3, rejected=3)


def make(
    parents=(certain,),
    propose=proposals,
    acceptance="running_mean",
    recombination="replace",
    least=0.0,
    pairs_age=False,
    **settings,
):
    labelling = Labelling(
        parents,
        components.build("voting", "mean"),
        components.build("entropy", "paper"),
        components.build("recombination", recombination),
    )
    changed = PseudoLabels(**{**SETTINGS.__dict__, **settings})
    gate = components.build("acceptance", acceptance)
    stream = torch.Generator().manual_seed(0)
    prominence = Prominence(least, 1.0)
    return PseudoLabelSource(propose, labelling, gate, changed, prominence, stream, CPU, pairs_age=pairs_age)


def kept(source: PseudoLabelSource) -> Batch:
    return Batch.of_state(source.buffer.state_dict(), CPU)


def test_fill_reaches_the_minimum_and_counts():
    source = make()
    assert source.is_dry
    source.fill()
    assert not source.is_dry
    assert len(source.buffer) == SETTINGS.minimum
    report = source.report()
    assert report.counters == Counters(tried=7, rejected_by_prominence=3, accepted=4)


def test_the_target_is_the_parents_hard_vote_and_is_compared_with_the_truth():
    source = make()
    source.fill()
    batch = kept(source)[:1]
    assert batch.targets.flatten().tolist() == [1, 1, 0, 0]
    assert source.report().dice_accepted == 1.0
    assert source.report().dice_rejected is None


def test_without_a_given_mask_the_pseudo_label_is_all_there_is():
    def unannotated(count):
        crops = proposals(count)
        return Crops(crops.images, crops.masks, tried=count, annotated=torch.zeros(count, dtype=torch.bool))

    source = make(propose=unannotated, recombination="disagreement_is_ignored")
    source.fill()
    batch = kept(source)[:1]
    assert batch.targets.flatten().tolist() == [1, 1, 0, 0]
    assert batch.weights.flatten().tolist() == [1, 1, 1, 1]
    masked = make(recombination="disagreement_is_ignored")
    masked.fill()
    assert kept(masked)[:1].weights.flatten().tolist() == [0, 0, 1, 1]


def test_identical_uncertain_masks_are_never_accepted():
    """T approaches their entropy from below and never reaches it: filling gives up and counts it."""
    source = make(parents=(lambda images: torch.full_like(images, 0.3),))
    source.fill()
    assert source.is_dry
    assert source.tally.counters.gave_up == 1
    assert source.tally.counters.rejected_by_entropy == SETTINGS.max_tries
    thresholds = source.report().threshold
    assert thresholds == sorted(thresholds)


def test_without_a_gate_they_are():
    source = make(parents=(lambda images: torch.full_like(images, 0.3),), acceptance="none")
    source.fill()
    assert source.tally.counters.rejected_by_entropy == 0


def test_empty_pseudo_labels_are_rejected_where_a_minimum_is_asked_for():
    source = make(parents=(lambda images: torch.full_like(images, -200.0),), least=0.1)
    source.fill()
    assert source.is_dry
    assert source.tally.counters.rejected_as_empty == SETTINGS.max_tries
    assert source.tally.counters.accepted == 0


def test_draws_refresh_with_their_probability():
    source = make(refresh_probability=0.25, capacity=100, minimum=10)
    source.fill()
    for _ in range(100):
        assert len(source.draw(8)) == 8
    assert 140 < source.tally.counters.refreshes < 260
    assert len(source.buffer) == 100


def test_a_source_that_dries_up_gives_up_and_is_counted():
    source = make()
    source.fill()
    source.acceptance = lambda entropies, _votes: [False] * len(entropies)
    source.acceptance.threshold = 0.0
    assert len(source.draw(32)) == 32
    assert source.tally.counters.gave_up > 0
    assert source.tally.counters.rejected_by_entropy == source.tally.counters.gave_up * SETTINGS.refresh_tries
    assert source.tally.counters.refreshes == 0


def test_a_source_that_yields_little_gives_up_once():
    """The gate lets 1 in 12 pass: less than a tenth, so that after `max_tries` crops no more are labelled."""
    source = make(least_yield=0.1, minimum=6, capacity=100)
    seen = 0

    def seldom(entropies, _votes):
        nonlocal seen
        seen += len(entropies)
        return [seen % 12 == 0 and number == 0 for number in range(len(entropies))]

    source.acceptance, seldom.threshold = seldom, 0.0
    source.fill()
    assert (seen, len(source.buffer), source.tally.counters.gave_up) == (SETTINGS.max_tries, 3, 1)
    for _ in range(20):
        assert len(source.draw(8)) == 8, "kept ones"
    assert (seen, source.tally.counters.gave_up, source.tally.counters.refreshes) == (SETTINGS.max_tries, 1, 0)


def test_what_was_accepted_last_is_given_before_it_gives_up():
    source = make(least_yield=0.5, minimum=1, capacity=100, max_tries=4)
    source.acceptance = lambda entropies, _votes: [number == 0 for number in range(len(entropies))]
    source.acceptance.threshold = 0.0
    source.fill()
    assert (len(source.buffer), source.tally.counters.gave_up) == (1, 1)


def test_whoever_learns_may_yet_come_to_accept_more():
    source = make(least_yield=0.5, pairs_age=True)
    source.acceptance = lambda entropies, _votes: [False] * len(entropies)
    source.acceptance.threshold = 0.0
    for _ in range(10):
        assert source.draw(8) is None
    tried = source.tally.counters.tried
    source.acceptance = lambda entropies, _votes: [True] * len(entropies)
    source.acceptance.threshold = 0.0
    assert len(source.draw(8)) == 8
    assert source.tally.counters.tried > tried


def test_where_pairs_age_none_is_kept_for_later_and_every_draw_makes_new_ones():
    source = make(pairs_age=True)
    source.fill()
    assert source.tally.counters.tried == 0
    assert not source.is_dry
    assert len(source.draw(5)) == 5
    assert source.tally.counters.refreshes == 5
    refused = make(parents=(lambda images: torch.full_like(images, 0.3),), pairs_age=True)
    assert refused.draw(5) is None
    assert refused.tally.counters.gave_up == 5
    assert not refused.is_dry, "it may give some as the member learns"


def test_state_round_trip_goes_on_alike():
    one, two = make(), make()
    one.fill()
    one.draw(5)
    two.load_state_dict(one.state_dict())
    two.generator.set_state(one.generator.get_state())
    first, second = one.draw(12), two.draw(12)
    assert torch.equal(first.images, second.images)
    assert torch.equal(first.targets, second.targets)
    assert one.report() == two.report()
