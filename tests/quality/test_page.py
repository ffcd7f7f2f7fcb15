"""The page of figures says what was recorded."""

from __future__ import annotations

from docs.build_detection import PAGE, build


def test_the_page_has_the_recorded_figures() -> None:
    text = PAGE.read_text()
    assert build(text) == text, "run python -m docs.build_detection"
