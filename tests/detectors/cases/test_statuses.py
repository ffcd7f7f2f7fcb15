"""What each verdict does with the artificial events of a case."""

from __future__ import annotations

from detectors.cases.statuses import ACCUSING, ENDINGS, STATUSES
from detectors.state.case import ARTIFICIAL, EXPLAINED, SUSPECT
from detectors.state.ledger import VALID
from detectors.state.removals import RULE


def test_an_artificial_case_and_a_suspect_one_quarantine_and_the_others_move_nothing() -> None:
    assert {verdict: ending.quarantines for verdict, ending in ENDINGS.items()} == {
        ARTIFICIAL: True,
        SUSPECT: True,
        EXPLAINED: False,
        RULE: False,
    }
    assert {ARTIFICIAL, SUSPECT} == ACCUSING


def test_only_an_artificial_case_and_a_rule_burst_end_in_the_invalid_part() -> None:
    assert {verdict for verdict, ending in ENDINGS.items() if ending.becomes is None} == {ARTIFICIAL, RULE}
    assert {ending.becomes for ending in ENDINGS.values() if ending.becomes is not None} == {VALID}


def test_a_flag_is_opened_updated_and_closed_in_this_order() -> None:
    assert list(STATUSES) == ["opened", "updated", "closed", "reversed"]
