"""A study: all trials of one ablation, their stages, and what of them is stored already."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cellab import paths
from cellab.ablation import Ablation
from cellab.checks import check_trial, notices
from cellab.compose import Composer, compose_trial
from cellab.crop_checks import CropChecks
from cellab.data.dataset import check_trainable
from cellab.data.hidden import open_data
from cellab.designs import Arm
from cellab.errors import CellabError, ConfigError, DataError
from cellab.lineage import Lineage, Rules, build_lineage
from cellab.settings import TrialConfig
from cellab.stage import Stage
from cellab.stage_kinds import STAGE_KINDS
from cellab.store import Store
from cellab.study_files.records import Plan

OF_ALL_ARMS = ("seed", "sharing", "executor")  # keys that arms cannot set


@dataclass(frozen=True)
class Trial:
    """One arm with one seed: one whole lineage."""

    arm: Arm
    seed: int
    lineage: Lineage


@dataclass(frozen=True)
class Study:
    """All trials of an ablation, checked and ready to run.

    Args:
        name: of its folder below `runs`.
        ablation: what it asks.
        arms: its arms.
        configs: the resolved configuration of each arm, by the arm's name, without the seed's effect.
        trials: every arm with every seed, arms first.
        data_path: absolute path of the data set.
        data_digest: of its content.
        data_has_truth: whether it carries complete masks.
        notices: what should be known of its arms, in a sentence each.
    """

    name: str
    ablation: Ablation
    arms: tuple[Arm, ...]
    configs: dict[str, TrialConfig]
    trials: tuple[Trial, ...]
    data_path: Path
    data_digest: str
    data_has_truth: bool
    notices: tuple[str, ...] = ()

    @property
    def baseline(self) -> Arm:
        """The arm that the others are compared with."""
        return next(arm for arm in self.arms if arm.is_baseline)

    @property
    def config(self) -> TrialConfig:
        """The baseline's resolved configuration."""
        return self.configs[self.baseline.name]

    @property
    def lineages(self) -> list[Lineage]:
        """Of all trials."""
        return [trial.lineage for trial in self.trials]

    @property
    def stages(self) -> dict[str, Stage]:
        """The distinct stages by key, in the order in which they are first asked for."""
        found: dict[str, Stage] = {}
        for lineage in self.lineages:
            for stage in lineage.stages:
                found.setdefault(stage.key, stage)
        return found


def build_study(name: str, ablation: Ablation, trust: bool = False) -> Study:
    """Composes every arm, checks all of it against the data set, and lays out the stages.

    Args:
        name: of its folder below `runs`.
        ablation: what it asks.
        trust: whether configurations may name code that is no component (`cellab.trust`).

    Raises:
        ConfigError: the mistakes of all arms, together.
        DataError: the data set cannot be read or trained on.
    """
    arms = tuple(ablation.arms())
    configs, mistakes = _compose(ablation, arms, trust)
    if not configs:
        raise ConfigError(_collect(mistakes))
    data_path = _the_data(configs)
    try:
        has_truth = False
        for hiding in dict.fromkeys(config.data.hiding for config in configs.values()):
            alike = {name: config for name, config in configs.items() if config.data.hiding == hiding}
            with open_data(data_path, hiding) as data:
                for scale in {config.data.scale: None for config in alike.values()}:
                    check_trainable(data, scale if scale in data.scales else None)
                crops = CropChecks(data)
                for arm_name, config in alike.items():
                    mistakes[arm_name] += check_trial(config, data, crops)
                digest, has_truth = data.digest, has_truth or data.has_truth
    except DataError as error:
        if any(mistakes.values()):
            raise ConfigError([*_collect(mistakes), str(error)]) from error
        raise
    if any(mistakes.values()):
        raise ConfigError(_collect(mistakes))
    trials = tuple(trial for arm in arms for trial in _trials(arm, ablation.seeds, configs[arm.name], digest))
    told = _collect({arm: [*notices(config), *_precision_notices(config)] for arm, config in configs.items()})
    told += _same_arms_notices(trials)
    return Study(name, ablation, arms, configs, trials, data_path, digest, has_truth, tuple(told))


def _same_arms_notices(trials: tuple[Trial, ...]) -> list[str]:
    """A sentence on each group of arms that compute one and the same."""
    arms: dict[tuple[str, ...], list[str]] = {}
    for trial in trials:
        if trial.seed == trials[0].seed:
            keys = tuple(generation.evaluation for generation in trial.lineage.generations)
            arms.setdefault(keys, []).append(trial.arm.name)
    return [
        f"arms {', '.join(names)} compute the same: nothing that they differ in has a part in their lineages."
        for names in arms.values()
        if len(names) > 1
    ]


def _trials(arm: Arm, seeds: list[int], config: TrialConfig, digest: str) -> Iterator[Trial]:
    """An arm with every seed; what no seed changes is made once."""
    rules, device = Rules.of(config), _device(config)
    for seed in seeds:
        yield Trial(arm, seed, build_lineage(config, arm.name, seed, digest, device, rules))


def _compose(
    ablation: Ablation, arms: tuple[Arm, ...], trust: bool
) -> tuple[dict[str, TrialConfig], dict[str, list[str]]]:
    """The configurations of the arms that can be composed, and the mistakes of each arm."""
    configs: dict[str, TrialConfig] = {}
    mistakes: dict[str, list[str]] = {arm.name: [] for arm in arms}
    composer = Composer()
    for arm in arms:
        try:
            configs[arm.name] = compose_trial([*ablation.overrides, *arm.overrides], composer, trust=trust)
        except ConfigError as error:
            mistakes[arm.name] += error.mistakes
    lineages = {name: config.lineage for name, config in configs.items()}
    for name, lineage in lineages.items():
        first = next(iter(lineages.values()))
        differ = [key for key in OF_ALL_ARMS if getattr(lineage, key) != getattr(first, key)]
        mistakes[name] += [f"{key}: it is one for all arms." for key in differ]
    return configs, mistakes


def _collect(by_arm: dict[str, list[str]]) -> list[str]:
    """Mistakes that all arms share once, the others with their arms' names."""
    distinct = dict.fromkeys(mistake for mistakes in by_arm.values() for mistake in mistakes)
    collected = []
    for mistake in distinct:
        arms = [name for name, mistakes in by_arm.items() if mistake in mistakes]
        everywhere = len(arms) == len(by_arm)
        collected.append(mistake if everywhere else f"arm {' and '.join(arms)}: {mistake}")
    return collected


def _the_data(configs: dict[str, TrialConfig]) -> Path:
    named = {config.data.path for config in configs.values()}
    if len(named) > 1:
        raise ConfigError([f"data.path: the arms name different data sets ({', '.join(sorted(named))}): one a study."])
    return paths.given(named.pop()).absolute()


def _device(config: TrialConfig) -> str:
    wanted = config.resources.device
    if wanted == "cpu":
        return "cpu"
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise CellabError("resources.device: cuda was asked for, but torch sees no GPU here: use cpu, or auto.")
    return "cuda" if available else "cpu"


def _precision_notices(config: TrialConfig) -> Iterator[str]:
    """Whether this machine, which need not be the one that computes, is slow at what is wanted."""
    if config.lineage.precision == "float32":
        return
    import torch

    if _device(config) == "cuda":
        has_it = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        told: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # older ones do not tell
        has_it = not told or any(has for name, has in told.items() if "bf16" in name)
    if not has_it:
        yield "precision: this processor has no instructions for bfloat16, and takes longer with it than with float32."


def plan(study: Study, store: Store | None) -> Plan:
    """What running the study would take (`plan.json`).

    Args:
        study: the study.
        store: where results may be already; None: nowhere.

    Returns:
        Arms, seeds, the number of trials, and for each kind of stage how many are asked for, how many of them are
        distinct, and how many of those are stored.
    """
    distinct = study.stages
    asked = Counter(stage.kind for lineage in study.lineages for stage in lineage.stages)
    kinds = Counter(stage.kind for stage in distinct.values())
    stored = Counter(distinct[key].kind for key in (store.stored(list(distinct)) if store else ()))
    return {
        "study": study.name,
        "arms": [{"name": arm.name, "overrides": list(arm.overrides)} for arm in study.arms],
        "seeds": list(study.ablation.seeds),
        "trials": len(study.trials),
        "stages": {
            kind.name: {"asked": asked[kind.name], "distinct": kinds[kind.name], "stored": stored[kind.name]}
            for kind in STAGE_KINDS
        },
    }
