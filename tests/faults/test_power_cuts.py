"""The power is cut at every moment of a run: what was not synced is lost, and no photo with it."""

from pathlib import Path

import pytest

from tests.faults.power_loss.disk import (
    FOLDER,
    Event,
    FileSync,
    FolderSync,
    NameChange,
    Write,
    list_all_states,
)
from tests.faults.power_loss.replay import iterate_outcomes
from tests.patience import scale

SAMPLE = 50

INBOX, LABEL = Path("inbox/a.jpg"), Path("happy/a.jpg")
NAMES = {Path("inbox"): FOLDER, Path("happy"): FOLDER, INBOX: 1}


def list_names(*events: Event) -> set[frozenset[Path]]:
    """Return which files may be there after a power cut."""
    states = list_all_states(NAMES, 0, list(events))
    return {frozenset(path for path, inode in state.names.items() if inode != FOLDER) for state in states}


@pytest.mark.timeout(scale(120))
def test_no_photo_is_lost_by_a_power_cut_at_any_moment(tmp_path: Path) -> None:
    outcomes = list(iterate_outcomes(tmp_path, SAMPLE, seed=0))
    assert len(outcomes) == SAMPLE
    assert [outcome for outcome in outcomes if not outcome.audit.is_clean] == []


def test_the_model_loses_a_photo_that_is_unlinked_before_its_new_name_is_synced() -> None:
    moved = NameChange({LABEL: 1}), NameChange({INBOX: None})
    assert frozenset() in list_names(*moved)
    assert frozenset() not in list_names(moved[0], FolderSync(Path("happy")), moved[1])


def test_the_model_makes_a_rename_between_folders_whole_or_not_at_all() -> None:
    assert list_names(NameChange({INBOX: None, LABEL: 1})) == {frozenset([INBOX]), frozenset([LABEL])}


def test_the_model_keeps_the_changes_of_a_folder_in_their_order() -> None:
    first, second = Path("happy/1"), Path("happy/2")
    events = NameChange({first: 2}), NameChange({second: 3})
    assert list_names(*events) == {
        frozenset([INBOX]),
        frozenset([INBOX, first]),
        frozenset([INBOX, first, second]),
    }


def test_the_model_loses_a_folder_that_is_not_synced_with_all_that_is_in_it() -> None:
    trip = Path("happy/trip")
    events = NameChange({trip: FOLDER}), NameChange({trip / "a.jpg": 1}), FolderSync(trip)
    assert frozenset([INBOX]) in list_names(*events)


def test_the_model_loses_what_is_in_a_file_until_it_is_synced() -> None:
    def list_empty(*events: Event) -> set[frozenset[int]]:
        return {state.empty for state in list_all_states(NAMES, 0, list(events))}

    assert list_empty(Write(1)) == {frozenset(), frozenset([1])}
    states = list_all_states(NAMES, 0, [Write(1), FileSync(1), NameChange({LABEL: 1})])
    assert not any(state.empty for state in states if LABEL in state.names)
