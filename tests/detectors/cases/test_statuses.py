"""What each verdict does with the artificial events of a case."""

from __future__ import annotations

from detectors.cases.statuses import ENDINGS, STATUSES
from detectors.state.case import ARTIFICIAL, EXPLAINED, SUSPECT
from detectors.state.ledger import VALID


def test_an_artificial_case_and_a_suspect_one_quarantine_and_an_explained_surge_moves_nothing() -> None:
    assert {verdict: ending.quarantines for verdict, ending in ENDINGS.items()} == {
        ARTIFICIAL: True,
        SUSPECT: True,
        EXPLAINED: False,
    }


def test_only_an_artificial_case_ends_in_the_invalid_part_under_its_own_reason() -> None:
    assert {verdict for verdict, ending in ENDINGS.items() if ending.becomes is None} == {ARTIFICIAL}
    assert {ending.becomes for ending in ENDINGS.values() if ending.becomes is not None} == {VALID}


def test_a_flag_is_opened_updated_and_closed_in_this_order() -> None:
    assert list(STATUSES) == ["opened", "updated", "closed"]
