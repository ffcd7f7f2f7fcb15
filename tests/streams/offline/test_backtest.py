"""A backtest of anybody's labelled file, and of scenarios in a pool."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.cli.backtest.page import page
from streams.offline.backtest import Plan, document, label_of, run_file, run_scenario, run_scenarios
from streams.offline.recorded.file import RecordedFile
from streams.settings.section import SettingsError


def labelled_file(directory: Path, first_label: str = "fraud") -> Path:
    """Three days of a view a minute on ten targets, and in the last hour 600 bought ones on one of them."""
    rows = ["ts,actor,target,metric,verdict"]
    rows += [f"{60_000 * i},u{i % 97},t{i % 10},view,honest" for i in range(3 * 1440)]
    rows += [f"{60_000 * 4200 + 3000 * i},bot{i},t3,view,fraud" for i in range(599)]
    rows.append(f"1000,u1,t1,view,{first_label}")
    path = directory / "views.csv"
    path.write_text("\n".join(rows))
    return path


def test_a_label_column_is_enough_and_the_file_need_not_be_in_order(tmp_path: Path) -> None:
    path = labelled_file(tmp_path)
    reports = run_file(path, None, "verdict", Plan(methods=("truecount", "count_threshold")))
    assert [(r.method, r.events, r.artificial, r.attacks) for r in reports] == [
        ("truecount", 4920, 600, 1),
        ("count_threshold", 4920, 600, 1),
    ]


def test_a_label_that_says_neither_is_refused_with_its_place(tmp_path: Path) -> None:
    path = labelled_file(tmp_path, first_label="perhaps")
    with pytest.raises(SettingsError, match=r"record 4920 of .* is 'perhaps', which means neither"):
        run_file(path, None, "verdict", Plan())


def test_a_label_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = labelled_file(tmp_path)
    with pytest.raises(SettingsError, match="no label 'is_bot'; it has ts, actor, target, metric, verdict"):
        run_file(path, None, "is_bot", Plan())


def test_a_file_with_other_columns_needs_a_map(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("when,who\n1,2\n")
    with pytest.raises(SettingsError, match="has no column metric, ts, actor, target"):
        RecordedFile(path)


@pytest.mark.parametrize("word", ["1", "TRUE", "artificial", "Fraud ", "1.0"])
def test_spellings_of_artificial(word: str) -> None:
    assert label_of(word)


@pytest.mark.parametrize("word", ["0", "false", "Organic", "honest", "0.0"])
def test_spellings_of_honest(word: str) -> None:
    assert not label_of(word)


def test_scenarios_come_back_in_the_order_asked_for_and_make_a_page() -> None:
    plan = Plan(methods=("count_threshold",), views=4000)
    reports = run_scenarios([("botnet_burst", 3), ("quiet", 3)], plan)
    kinds = [(row["scenario"], row["kind"]) for row in document(reports, plan)["reports"]]
    assert kinds == [("botnet_burst", "overt"), ("quiet", "honest")]
    drawn = page(reports)
    assert drawn.count("<svg") == 2, "curves where there is something to find, none for the quiet background"
    assert "src=" not in drawn
    assert "href=" not in drawn


def test_a_configuration_of_ones_own_is_measured_and_its_model_stands_in_the_table(tmp_path: Path) -> None:
    config = tmp_path / "truecount.toml"
    model = '[detection.models.neighbours]\nmodel = "river.anomaly.LocalOutlierFactor"\nwindows = 40\n'
    config.write_text(f"{model}[detection]\nsuspect_score = 100\nartificial_score = 100\n")
    plain, strict = Plan(methods=("truecount",), views=15_000), Plan(("truecount",), views=15_000, config=config)
    (found,), (spared,) = run_scenario("botnet_burst", 3, plain), run_scenario("botnet_burst", 3, strict)
    assert found.flags > spared.flags == 0
    assert "neighbours" in spared.witnesses
    assert document([spared], strict)["plan"]["config"] == str(config)
