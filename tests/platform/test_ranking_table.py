"""The ranking on the terminal: no number is ever cut, and arms that end in different generations say so."""

import pytest
from rich.console import Console

from cellab.cli.tables import ranking_table
from cellab.study_files.records import ArmSummary, Ranking, Score, TrialSummary

METRICS = {name: Score(0.12345, 0.00678, 2) for name in ("dice", "jaccard", "precision", "recall")}
DONE = TrialSummary(0, "completed"), TrialSummary(1, "completed")


def shown(width, generations=(2, 2), names=("gan_loss=ns_gp", "gan_loss=wgan"), best=None):
    arms = [
        ArmSummary(
            *(rank, name, rank == 1, (), generation, generation if best is None else best, 2, 2, 0, 0, 0),
            validation=METRICS,
            test=METRICS | {"hidden_recall": METRICS["recall"]},
            trials=DONE,
        )
        for rank, (name, generation) in enumerate(zip(names, generations, strict=True), start=1)
    ]
    ranking = Ranking("small", "Which?", "dice", "validation", "truth", "micro", max(generations), tuple(arms))
    console = Console(width=width)
    with console.capture() as captured:
        console.print(ranking_table(ranking, width))
    return captured.get()


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_number_is_cut_for_a_long_name(width):
    text = shown(width, generations=(0, 2), names=("equal compute without self-training", "a" * 60))
    assert "…" not in text
    lowest = 6 if width >= 90 else 5  # scores of an arm; a narrow terminal does without the Jaccard index
    assert text.count("0.123") == 2 * lowest
    assert text.count("± 0.007") == (2 * lowest if width == 160 else 0)
    assert text.replace("\n", "").count("a") > 60


def test_an_earlier_generation_that_is_better_by_given_masks_alone_is_named():
    assert "gan_loss=wgan: by given masks alone (pu_score, validation) generation 1 is better" in shown(140, best=1)
    assert "is better than the last" not in shown(140)


def test_generations_are_told_where_they_differ():
    assert "Generation 2 against the truth" in shown(160)
    assert "ation" not in shown(160).partition("rank  arm")[0].partition("objects in training frames.")[2].replace(
        "validation", ""
    )
    assert "Each arm's last generation against the truth" in shown(160, generations=(0, 2))
    assert "gener-" in shown(160, generations=(0, 2))
