"""Values: what annotations convert, what they refuse in words, and that nothing impossible gets past them anywhere."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from cellab import components
from cellab.compose import defaults
from cellab.errors import ConfigError
from cellab.overrides import parse, render
from cellab.rehearsal import gan_mistakes, member_mistakes
from cellab.sections import check_sections
from cellab.settings import LINEAGE, SECTIONS, Training
from cellab.signatures import annotations, fit_arguments
from cellab.values import convert, is_text

SURPRISES = ["fast", "", math.nan, -math.inf, -1, 10**30, 0.5, [], ["x"], [math.nan], {"a": 1}, None, True]
OF_PYTHON = ("not supported between", "must be real number", "could not be converted", "argument must be", "Traceback")


@pytest.mark.parametrize(
    ("value", "annotation", "converted"),
    [
        ("2", int, 2),
        ("1e3", int, 1000),
        (2.0, int, 2),
        ("0.01", float, 0.01),
        (3, float, 3.0),
        ("yes", bool, True),
        ("off", bool, False),
        (1, bool, True),
        ("2", str, "2"),
        ((0.5, "0.9"), tuple[float, float], [0.5, 0.9]),
        (["1", 2.0], Sequence[int], [1, 2]),
        ([["1"], [3]], Sequence[Sequence[int]], [[1], [3]]),
        ("0.5", float | list[float], 0.5),
        (["0.5"], float | list[float], [0.5]),
        ("0.5", float | torch.Tensor, 0.5),
        (None, int | None, None),
        ("x", Callable[[int], int], "x"),
        ({"a": "1"}, dict[str, int], {"a": 1}),
    ],
)
def test_what_is_meant_is_converted(value, annotation, converted):
    found = convert(value, annotation)
    assert found == converted
    assert type(found) is type(converted)


@pytest.mark.parametrize(
    ("value", "annotation", "told"),
    [
        ("fast", float, "'fast' is not allowed; it must be a finite number."),
        ("nan", float, "'nan' is not allowed"),
        (math.inf, float, "inf is not allowed"),
        (True, int, "true is not allowed; it must be a whole number."),
        (True, float, "true is not allowed"),
        (2.5, int, "2.5 is not allowed"),
        ("1e400", int, "'1e400' is not allowed"),
        (10**400, float, "finite number"),
        (2, bool, "2 is not allowed; it must be true or false."),
        (3, str, "3 is not allowed; it must be a text."),
        (None, int, "null is not allowed"),
        ("lin", Literal["cos", "linear"], "one of cos, linear: did you mean 'linear'?"),
        ([1.0], tuple[float, float], "a list of 2, each item a finite number"),
        (0, Annotated[int, Field(ge=1, le=9)], "a whole number of at least 1 and at most 9"),
        (1, Annotated[float, Field(ge=0, lt=1)], r"a finite number in [0, 1)."),
        (-1, Annotated[float, Field(gt=0)], "a finite number above 0"),
        ([1, math.nan], Callable[[int], int], "it must be finite"),
        ("x", int | None, "a whole number or null"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(value, annotation, told):
    with pytest.raises(ValueError, match="is not allowed; it must be") as caught:
        convert(value, annotation)
    assert told in str(caught.value)


def test_texts_are_told_from_others():
    assert is_text(str)
    assert is_text(Literal["given", "truth"])
    assert is_text(str | None)
    assert not any(map(is_text, (int, str | float, list[str], Any)))


class Foreign:
    """A class of somebody else's, which imports a type for its type checker only."""

    def __init__(self, rate: "float", mode: "Literal['up', 'down']", network: "Unknown", free=1, **more: int) -> None:  # type: ignore # noqa: F821
        """Takes anything."""


def test_signatures_of_others_count_as_far_as_they_can_be_known():
    values, mistakes = fit_arguments(Foreign, {"rate": "0.5", "mode": "up", "network": [1], "other": 2}, "x")
    assert (values, mistakes) == ({"rate": 0.5, "mode": "up", "network": [1], "other": 2}, [])
    _, mistakes = fit_arguments(Foreign, {"rate": "high", "mode": "upp", "network": math.inf}, "x")
    assert [mistake.key for mistake in mistakes] == ["x.rate", "x.mode", "x.network"]
    assert annotations(len) == {"obj": annotations(len)["obj"]}, "what is written in C takes anything"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_survives_an_override(text):
    (parsed,) = parse([render("data.path", text)])
    assert parsed.value == text


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\'\" \t"), min_size=1))
def test_every_text_without_quotation_marks_is_taken_as_it_is_written(text):
    (parsed,) = parse([f"data.path={text}"])
    taken = parsed.as_text()
    assert taken.value in (text, None if text.lower() == "null" else text)
    assert parse([taken.text])[0].value == taken.value


def leaves(config: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from leaves(value, (*above, key))
        elif not key.startswith("_"):
            yield (*above, key)


def with_value(config: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(config)
    here = changed
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    return changed


def arguments() -> Iterator[Any]:
    """Every argument of every class that a component's YAML names, once: presets share classes."""
    seen = set()
    for (kind, name), component in components.catalogue().items():
        for path in leaves(component.config):
            here = component.config
            for part in path[:-1]:
                here = here[part]
            if (found := (here["_target_"], path[-1])) not in seen:
                seen.add(found)
                yield pytest.param(kind, component.config, path, id=f"{kind}/{name}:{'.'.join(path)}")


@pytest.mark.parametrize(("kind", "config", "path"), list(arguments()))
def test_no_component_chokes_on_a_value(kind, config, path):
    key = ".".join((kind, *path))
    for value in SURPRISES:
        mistakes = []
        try:
            with torch.device("meta"):
                built = components.instantiate(with_value(config, path, value), kind)
            if kind == "gan_loss":
                mistakes = gan_mistakes(config=with_value(config, path, value), adversarial=built)
        except ConfigError as error:
            mistakes = error.mistakes
        assert len(mistakes) <= 1, value
        for mistake in mistakes:
            assert mistake.startswith((f"{key}: ", f"{kind}: ", f"{kind}.max_width: ", f"{kind}.dilations: ")), value
            assert not any(part in mistake for part in (*OF_PYTHON, "cannot be built")), value
        impossible = isinstance(value, float) and not math.isfinite(value)
        assert mistakes or not (impossible or value in ([math.nan], {"a": 1})), value


@pytest.fixture(scope="module")
def resolved() -> dict[str, Any]:
    from cellab.compose import compose_trial

    return compose_trial(["data.path=x.h5"]).plain


def keys() -> list[tuple[str, ...]]:
    sections = {name: annotations(section) for name, section in SECTIONS.items()}
    return [(name, key) if name != LINEAGE else (key,) for name, section in sections.items() for key in section]


@pytest.mark.parametrize("path", keys(), ids=".".join)
def test_no_section_chokes_on_a_value(resolved, path):
    for value in SURPRISES:
        sections, mistakes = check_sections(with_value(resolved, path, value))
        assert len(mistakes) <= 1, value
        if mistakes:
            assert str(mistakes[0]).startswith(f"{'.'.join(path)}: "), value
            assert "is not allowed; it must be" in str(mistakes[0]) or "do not fit" in str(mistakes[0]), value
            continue
        section = sections[path[0] if len(path) > 1 else LINEAGE]
        assert math.isfinite(number) if isinstance(number := getattr(section, path[-1]), float) else True
        assert value != -1
        assert value != 10**30 or path[0] == "data", "scales are held against the data set's"


def test_every_key_of_the_trial_is_typed():
    ours = {key for key in defaults() if key not in components.kinds()}
    assert ours == {*(name for name in SECTIONS if name != LINEAGE), *annotations(SECTIONS[LINEAGE])}
    for name, section in SECTIONS.items():
        if name != LINEAGE:
            assert set(defaults()[name]) == set(annotations(section))


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("optimiser", "lr"), -1.0, "training.optimiser.lr: Invalid learning rate"),
        (("optimiser", "_target_"), "torch.optim.LBFGS", "training.optimiser: torch.optim.LBFGS(lr=0.004)"),
        (("learning_rate_schedule", "max_lr"), -1.0, "a learning rate must be a finite number of at least 0"),
        (("learning_rate_schedule", "total_steps"), 3, "it ends after 3 steps, and training.steps is 500"),
        (("learning_rate_schedule", "pct_start"), 2.0, "training.learning_rate_schedule.pct_start: "),
        (("learning_rate_schedule", "div_factor"), 0.0, "ZeroDivisionError"),
        (
            ("learning_rate_schedule",),
            {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "_partial_": True},
            "metrics",
        ),
    ],
)
def test_optimisers_and_schedules_are_tried_before_any_compute(resolved, path, value, told):
    (mistake,) = member_mistakes(Training(**with_value(resolved["training"], path, value)))
    assert told in mistake
    assert member_mistakes(Training(**resolved["training"])) == []
