"""Designs: how what an ablation file says becomes arms."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from cellab.errors import ConfigError
from cellab.names import did_you_mean
from cellab.overrides import Override, parse, render, render_value
from cellab.plain import Plain, PlainMapping, listed, mapping

Lists = dict[str, list[Plain]]  # of values, by their factors
Settings = PlainMapping  # key of a trial's configuration, or kind of component, to value
Content = PlainMapping  # of an ablation file: a design reads the keys that are its own

Typed = Callable[[str, Any], Any]  # of a key and a value: the value as the key wants it

BASELINE = "baseline"  # the name of an arm that sets nothing apart


@dataclass(frozen=True)
class Arm:
    """One setting of what an ablation varies.

    Args:
        name: e.g. ``gan_loss=wgan``.
        overrides: what sets it apart, as Hydra overrides.
        is_baseline: whether the others are compared with it.
    """

    name: str
    overrides: tuple[str, ...]
    is_baseline: bool


class Design(Protocol):
    """What a design offers.

    Args:
        keys: of an ablation file that are this design's own; all of them are needed.
    """

    keys: tuple[str, ...]

    def arms(self, content: Content) -> list[Arm]:
        """The arms, one of them the baseline, of a content without mistakes."""

    def mistakes(self, content: Content) -> Iterator[str]:
        """One sentence per mistake in the design's own keys."""

    def typed(self, content: Content, typed: Typed) -> Content:
        """The content with every value of a trial's key as the key wants it."""

    def sets(self, content: Content) -> dict[str, str]:
        """Keys of trials that no override may set, since every arm does, and how to choose their values instead."""


class Factorised:
    """Arms from lists of values: `baseline` maps each factor to its value, `factors` to the list of its values.

    Args:
        combine: gives each arm's settings, of the baseline and the factors.
    """

    keys: tuple[str, ...] = ("baseline", "factors")

    def __init__(self, combine: Callable[[Settings, Lists], Iterator[Settings]]) -> None:
        self.combine = combine

    def arms(self, content: Content) -> list[Arm]:
        """One for each of the settings, named by what it sets."""
        baseline = mapping(content["baseline"])
        return [
            Arm(
                name=",".join(render(*item) for item in settings.items()) or BASELINE,
                overrides=_overrides(baseline | settings),
                is_baseline=baseline | settings == baseline,
            )
            for settings in self.combine(baseline, _lists(content["factors"]))
        ]

    def mistakes(self, content: Content) -> Iterator[str]:
        """Factors without values or without a baseline, and the reverse."""
        baseline, factors = content["baseline"], content["factors"]
        if not isinstance(baseline, dict) or not isinstance(factors, dict) or not factors:
            yield "baseline and factors must map each factor to its value and to the list of its values."
            return
        for factor, values in factors.items():
            if not isinstance(values, list) or not values:
                yield f"factors.{factor}: {values!r} is not a list of values, e.g. factors.{factor}=[a,b]."
            elif any(_same(*pair) for pair in itertools.combinations(values, 2)):
                yield f"factors.{factor}: {render_value(values)} names a value twice."
            if factor not in baseline:
                yield f"baseline.{factor}: it is a factor, so the baseline must say its value."
        for factor in baseline:
            if factor not in factors:
                hint = did_you_mean(factor, factors)
                yield f"baseline.{factor}: it is not a factor{hint} Set it for all arms in overrides."

    def typed(self, content: Content, typed: Typed) -> Content:
        """The baseline's values and the factors'."""
        factors = content.get("factors")
        if isinstance(factors, dict):
            content = content | {"factors": {factor: _listed(factor, factors[factor], typed) for factor in factors}}
        return content | {"baseline": _settings(content["baseline"], typed)} if "baseline" in content else content

    def sets(self, content: Content) -> dict[str, str]:
        """Every factor."""
        factors = content.get("factors")
        if not isinstance(factors, dict):
            return {}
        return {
            factor: f"choose its values with 'factors.{factor}={render_value(values)}'"
            for factor, values in factors.items()
            if isinstance(values, list)
        }


def one_factor(baseline: Settings, factors: Lists) -> Iterator[Settings]:
    """The baseline, and each other value of each factor with all else as in the baseline.

    With one factor each arm bears its value, the baseline too and in its place; with several, the baseline names all.
    """
    if len(factors) == 1:
        ((factor, values),) = factors.items()
        listed = values if baseline[factor] in values else [baseline[factor], *values]
        yield from ({factor: value} for value in listed)
        return
    yield dict(baseline)
    for factor, values in factors.items():
        yield from ({factor: value} for value in values if value != baseline[factor])


def factorial(baseline: Settings, factors: Lists) -> Iterator[Settings]:
    """Every combination of the factors' values; the baseline's, if the values do not hold it, comes first."""
    combinations = [dict(zip(factors, values, strict=True)) for values in itertools.product(*factors.values())]
    if baseline not in combinations:
        yield dict(baseline)
    yield from combinations


class LeaveOneOut:
    """The whole, and the whole without one mechanism at a time.

    `baseline` holds the settings of the whole, `without` maps each mechanism to the settings that take it away.
    """

    keys: tuple[str, ...] = ("baseline", "without")

    def arms(self, content: Content) -> list[Arm]:
        """The baseline, then one arm for each mechanism."""
        baseline = mapping(content["baseline"])
        arms = [Arm(BASELINE, _overrides(baseline), is_baseline=True)]
        for mechanism, settings in mapping(content["without"]).items():
            arms.append(Arm(f"without {mechanism}", _overrides(baseline | mapping(settings)), is_baseline=False))
        return arms

    def mistakes(self, content: Content) -> Iterator[str]:
        """Mechanisms without settings, or that are the baseline's."""
        baseline, without = content["baseline"], content["without"]
        if not isinstance(baseline, dict):
            yield f"baseline: {baseline!r} must map keys to the values of the whole; {{}} where they are the defaults."
        if not isinstance(without, dict) or not without:
            yield "without must map each mechanism to the settings that take it away."
            return
        for mechanism, settings in without.items():
            if not isinstance(settings, dict) or not settings:
                yield f"without.{mechanism}: {settings!r} is not a mapping of keys to values, e.g. {{members: 1}}."

    def typed(self, content: Content, typed: Typed) -> Content:
        """The baseline's values, and those of each mechanism's settings."""
        settled = {key: _settings(content[key], typed) for key in ("baseline",) if key in content}
        if isinstance(without := content.get("without"), dict):
            settled["without"] = {mechanism: _settings(settings, typed) for mechanism, settings in without.items()}
        return content | settled

    def sets(self, content: Content) -> dict[str, str]:
        """What the baseline says."""
        baseline = content.get("baseline")
        return {key: f"change it with 'baseline.{key}=...'" for key in baseline} if isinstance(baseline, dict) else {}


class Pairs:
    """Named pairs of settings, each compared with its partner.

    `pairs` maps each pair's name to two labels with their settings. The first arm of the first pair is the baseline.
    """

    keys: tuple[str, ...] = ("pairs",)

    def arms(self, content: Content) -> list[Arm]:
        """Two for each pair, named by pair and label."""
        named = [
            (f"{pair}: {label}", mapping(settings))
            for pair, labels in mapping(content["pairs"]).items()
            for label, settings in mapping(labels).items()
        ]
        return [Arm(name, _overrides(settings), is_baseline=n == 0) for n, (name, settings) in enumerate(named)]

    def mistakes(self, content: Content) -> Iterator[str]:
        """Pairs that are none."""
        pairs = content["pairs"]
        if not isinstance(pairs, dict) or not pairs:
            yield "pairs must map each pair's name to two labels with their settings."
            return
        for pair, labels in pairs.items():
            if not isinstance(labels, dict) or len(labels) != 2:
                yield f"pairs.{pair}: {labels!r} must map two labels to settings, e.g. {{with: {{}}, without: {{..}}}}."
                continue
            for label, settings in labels.items():
                if not isinstance(settings, dict):
                    yield f"pairs.{pair}.{label}: {settings!r} is not a mapping of keys to values."
            if len({str(settings) for settings in labels.values()}) == 1:
                yield f"pairs.{pair}: both settings are the same."

    def typed(self, content: Content, typed: Typed) -> Content:
        """The values of both settings of each pair."""
        pairs = content.get("pairs")
        if not isinstance(pairs, dict):
            return content
        settled = {pair: _each(labels, lambda settings: _settings(settings, typed)) for pair, labels in pairs.items()}
        return content | {"pairs": settled}

    def sets(self, content: Content) -> dict[str, str]:  # noqa: ARG002
        """Nothing: a pair sets what it likes."""
        return {}


class FreeArms:
    """Arms as they come: `arms` maps each arm's name to a list of Hydra overrides; the first is the baseline."""

    keys: tuple[str, ...] = ("arms",)

    def arms(self, content: Content) -> list[Arm]:
        """Each with its overrides."""
        arms = mapping(content["arms"]).items()
        return [Arm(name, tuple(map(str, listed(each))), is_baseline=n == 0) for n, (name, each) in enumerate(arms)]

    def mistakes(self, content: Content) -> Iterator[str]:
        """Arms that are no list of overrides, or do the same."""
        arms = content["arms"]
        if not isinstance(arms, dict) or not arms:
            yield "arms must map each arm's name to a list of Hydra overrides."
            return
        seen: dict[str, str] = {}
        for name, overrides in arms.items():
            if not isinstance(overrides, list) or not all(isinstance(override, str) for override in overrides):
                yield f"arms.{name}: {overrides!r} is not a list of Hydra overrides, e.g. [generations=1, members=5]."
                continue
            try:
                parsed: list[Override] = parse(map(str, overrides))
            except ConfigError as error:
                yield from (f"arms.{name}: {mistake}" for mistake in error.mistakes)
                continue
            does = str(sorted(override.text for override in parsed))
            if does in seen:
                yield f"arms.{name}: it does the same as arms.{seen[does]}."
            seen.setdefault(does, name)

    def typed(self, content: Content, typed: Typed) -> Content:  # noqa: ARG002
        """As it is: overrides are typed where they are composed."""
        return content

    def sets(self, content: Content) -> dict[str, str]:  # noqa: ARG002
        """Nothing: an arm's own overrides come last."""
        return {}


DESIGNS: dict[str, Design] = {
    "one_factor": Factorised(one_factor),
    "factorial": Factorised(factorial),
    "leave_one_out": LeaveOneOut(),
    "pairs": Pairs(),
    "arms": FreeArms(),
}


def _settings(settings: Any, typed: Typed) -> Any:
    """Settings with values as their keys want them; whatever is none, for `mistakes` to tell, as it is."""
    return {key: typed(key, value) for key, value in settings.items()} if isinstance(settings, dict) else settings


def _listed(factor: str, values: Any, typed: Typed) -> Any:
    return [typed(factor, value) for value in values] if isinstance(values, list) else values


def _each(labels: Any, settled: Callable[[Any], Any]) -> Any:
    return {label: settled(settings) for label, settings in labels.items()} if isinstance(labels, dict) else labels


def _lists(factors: Plain) -> Lists:
    return {factor: listed(values) for factor, values in mapping(factors).items()}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one; true is not 1."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _overrides(settings: Settings) -> tuple[str, ...]:
    return tuple(render(*item) for item in settings.items())
