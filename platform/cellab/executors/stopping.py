"""Says what became of lineages that were stopped before their end."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType

from cellab.executors.driver import Ending
from cellab.executors.protocol import Endings, Key
from cellab.lineage import Lineage
from cellab.stage import Stage


def known(lineages: Iterable[Lineage | None]) -> dict[Key, Lineage]:
    """Lineages that need not be asked for to be known: all of a list, none of those that come one by one."""
    listed = lineages if isinstance(lineages, Sequence) else ()
    return {key_of(lineage): lineage for lineage in listed if lineage is not None}


def key_of(lineage: Lineage) -> Key:
    """Its arm and its seed."""
    return lineage.arm, lineage.seed


def endings_when_stopped(
    lineages: Mapping[Key, Lineage],
    ended: Endings,
    running: Collection[str],
    waiting: Collection[str],
    failed: Mapping[str, str] = MappingProxyType({}),
) -> Endings:
    """How each lineage ended: as is known, else stopped, in the stages of it that ran.

    Args:
        lineages: that were to run, by arm and seed.
        ended: how those ended that had before.
        running: keys of the stages that ran.
        waiting: keys of those that had not begun.
        failed: why stages failed of which their trials had not yet heard, by key.
    """
    return {
        key: ended.get(key) or _stopped(lineage.stages, running, waiting, failed) for key, lineage in lineages.items()
    }


def _stopped(
    stages: Iterable[Stage], running: Collection[str], waiting: Collection[str], failed: Mapping[str, str]
) -> Ending:
    for stage in stages:
        if stage.key in failed:
            return Ending("failed", failed[stage.key], stage.part)
    if all(stage.key in waiting for stage in stages):
        return Ending("stopped", "it had not begun")
    where = ", ".join(stage.part for stage in stages if stage.key in running)
    return Ending("stopped", "it was stopped before its end", where or None)
