"""Writes a study's results: what the store holds of it, gathered and ranked."""

from collections.abc import Collection

from cellab.errors import CellabError
from cellab.executors.protocol import Endings
from cellab.gathering import Gathered
from cellab.ranking import rank
from cellab.store import Store
from cellab.study import Study
from cellab.study_files.folder import StudyFolder, replace
from cellab.study_files.records import Ranking
from cellab.study_files.tables import CALIBRATIONS, PSEUDO_LABELS, RESULTS, STAGES, table


def write_results(
    study: Study, store: Store, endings: Endings, folder: StudyFolder, ran: Collection[str] = ()
) -> Ranking:
    """Writes the tables of a study, `arms.json` and `images.h5` into its folder.

    Args:
        study: what was run.
        store: where its stages' results are.
        endings: how each trial ended, by (arm, seed); a trial without one counts as stopped.
        folder: of the study.
        ran: keys of the stages that were computed now; those of earlier commands are known from the folder.

    Returns:
        The content of `arms.json`.

    Raises:
        OSError: a file cannot be written.
    """
    gathered = Gathered(study, store)
    results = table(gathered.result_rows(), RESULTS)
    folder.write_results(results)
    folder.write_pseudo_labels(table(gathered.counter_rows(), PSEUDO_LABELS))
    folder.write_calibrations(table(gathered.calibration_rows(), CALIBRATIONS))
    folder.write_stages(table(gathered.stage_rows({*ran, *_ran_before(folder)}), STAGES))
    replace(folder.images, gathered.write_images)
    ranking = rank(study, results, gathered.summaries(endings))
    folder.write_ranking(ranking)
    return ranking


def _ran_before(folder: StudyFolder) -> set[str]:
    """Keys of the stages that earlier commands computed for the study in a folder, as far as that is known."""
    try:
        return set(folder.read_stages().filter(how="ran")["key"])
    except CellabError:
        return set()
