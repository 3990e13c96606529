"""Writes a study's report: one HTML file that works offline."""

import json
from collections.abc import Mapping
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs

from cellab.errors import CellabError, reason
from cellab.evaluation.names import HIDDEN_RECALL, METRIC_NAMES
from cellab.study_files.folder import replace
from cellab_dashboards import colours, figures, tables
from cellab_dashboards.calibration import calibrations, other_order, score_curves
from cellab_dashboards.generated import generated
from cellab_dashboards.overlays import AGREES, EXCEEDS, MISSES, TINTS, UNCOVERS, overlays
from cellab_dashboards.study_files import StudyFiles, read_study

ALWAYS_TOLD = ("completed", "diverged", "failed")  # other states only where there are any
LONGEST_DIFF = 20_000  # characters of uncommitted changes that are shown


def write_report(study_dir: Path) -> Path:
    """Builds `report.html` in a study's folder from the files there.

    Args:
        study_dir: e.g. ``runs/gan_loss``.

    Returns:
        The report's path.

    Raises:
        CellabError: a file of the study is missing or damaged, or the report cannot be written.
    """
    study = read_study(study_dir)
    environment = Environment(
        loader=PackageLoader("cellab_dashboards"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(_content(study))
    path = study.folder.report
    content = page.encode(errors="backslashreplace")  # names of files need not be UTF-8
    try:
        replace(path, lambda beside: beside.write_bytes(content))
    except OSError as error:
        raise CellabError(f"{path} cannot be written: {reason(error)}.") from error
    return path


def _content(study: StudyFiles) -> dict[str, object]:
    return {
        "study": study,
        "facts": _facts(study),
        "significance": significance(study),
        "against": figures.REFERENCES.get(study.reference, study.reference),
        "swatches": colours.swatches(study),
        "metrics": METRIC_NAMES,
        "ranking": tables.ranking(study),
        "generations_differ": len(tables.last_generations(study)) > 1,
        "has_hidden": bool((study.results["metric"] == HIDDEN_RECALL).any()),
        "troubles": tables.troubles(study),
        "stopped": tables.STOPPED,
        "only_stopped": tables.only_stopped(study),
        "curves": figures.curves(study),
        "without_results": tables.without_results(study),
        "by_generation": tables.by_generation(study),
        "by_seed": tables.by_seed(study),
        "pseudo_labels": tables.pseudo_labels(study),
        "thresholds": figures.thresholds(study),
        "calibrations": calibrations(study),
        "score_curves": score_curves(study),
        "other_order": other_order(study),
        "generated": generated(study),
        "overlays": overlays(study),
        "tints": {number: colours.css(tint) for number, tint in enumerate(TINTS, start=1)},
        "classes": {"agrees": AGREES, "uncovers": UNCOVERS, "exceeds": EXCEEDS, "misses": MISSES},
        "plotlyjs": get_plotlyjs(),
        "settings": yaml.safe_dump(study.description.content, sort_keys=False, allow_unicode=True),
        "provenance": json.dumps(_shortened(study.provenance), indent=2, ensure_ascii=False),
    }


def _facts(study: StudyFiles) -> list[tuple[str, str]]:
    """The summary: what was run, and what became of it. No verdict."""
    states: list[str] = [trial.status for trial in study.trials]
    counts = [f"{states.count(state)} {state}" for state in ALWAYS_TOLD]
    counts += [f"{states.count(state)} {state}" for state in dict.fromkeys(states) if state not in ALWAYS_TOLD]
    seeds, data = study.seeds, study.provenance.get("data")
    return [
        ("arms", str(len(study.arms))),
        ("seeds", f"{len(seeds)} ({', '.join(map(str, seeds))})"),
        ("trials", ", ".join(counts)),
        ("last generation", " to ".join(map(str, tables.last_generations(study)))),
        ("data set", Path(str(data.get("path", "unknown") if isinstance(data, dict) else "unknown")).name),
    ]


def significance(study: StudyFiles) -> str:
    """What so many seeds can show at all, by the two-sided sign-flip test."""
    n = len(study.seeds)
    seeds = f"{n} {'seed' if n == 1 else 'seeds'}"
    least = f"2/2^{n} = {2 / 2**n:.2g}"
    if len(study.arms) == 1:
        return f"One arm and {seeds}: there is nothing to compare."
    if 2 / 2**n >= 0.05:
        return (
            f"With {seeds} no significance is claimed: the smallest p that a two-sided sign-flip test on paired seeds "
            f"can reach is {least}. Read the order as an order, not as a verdict."
        )
    return (
        f"Nothing is tested here and no significance is claimed. Each seed is one paired replication; with {seeds} "
        f"a two-sided sign-flip test can reach p = {least}."
    )


def _shortened(provenance: Mapping[str, object]) -> Mapping[str, object]:
    """Provenance with a long diff of uncommitted changes cut."""
    git = provenance.get("git")
    if not isinstance(git, dict) or not isinstance(git.get("dirty"), str) or len(git["dirty"]) <= LONGEST_DIFF:
        return provenance
    cut = f"{git['dirty'][:LONGEST_DIFF]}\n... (cut here; all of it is in provenance.json)"
    return {**provenance, "git": {**git, "dirty": cut}}
