"""Environment variables: a misspelt one is named with the nearest known one, and a wrong value with its variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.settings.environment import hint
from streams.settings.section import SettingsError
from streams.settings.settings import Settings, load


def refusal(**variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(None, variables)
    return str(caught.value)


@pytest.mark.parametrize(
    ("misspelt", "nearest"),
    [
        ("TRUECOUNT_BROKER_SERVERS", "TRUECOUNT_BROKER__SERVERS"),
        ("TRUECOUNT_BROKER__SERVER", "TRUECOUNT_BROKER__SERVERS"),
        ("TRUECOUNT_TIEM__TICK_SECONDS", "TRUECOUNT_TIME__TICK_SECONDS"),
        ("TRUECOUNT_PARTITION", "TRUECOUNT_PARTITIONS"),
        ("TRUECOUNT_CONFIGS", "TRUECOUNT_CONFIG"),
        ("TRUECOUNT_DETECTION__METRIC__VIEW__SUSPECTSCORE", "TRUECOUNT_DETECTION__METRIC__*__SUSPECT_SCORE"),
    ],
)
def test_a_misspelt_variable_is_named_with_the_nearest_one(misspelt: str, nearest: str) -> None:
    said = refusal(**{misspelt: "1"})
    assert f"environment variable {misspelt}: " in said
    assert said.endswith(f"unknown key; the nearest is {nearest}")


def test_a_variable_that_is_like_none_is_named_alone() -> None:
    assert refusal(TRUECOUNT_QQQQ="1").endswith("TRUECOUNT_QQQQ: qqqq: unknown key; check its spelling or remove it")


def test_a_variable_of_kubernetes_is_recognised() -> None:
    for name in ("TRUECOUNT_PORT_6067_TCP_ADDR", "TRUECOUNT_SERVICE_HOST", "TRUECOUNT_WORKER_PORT"):
        assert "enableServiceLinks: false" in refusal(**{name: "tcp://10.0.0.7:6067"})


def test_a_wrong_value_is_blamed_on_its_variable_and_not_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "truecount.toml"
    path.write_text("partitions = 3\n[web]\nport = 7\n")
    with pytest.raises(SettingsError) as caught:
        load(path, {"TRUECOUNT_PARTITIONS": "many"})
    assert "environment variable TRUECOUNT_PARTITIONS: partitions: " in str(caught.value)
    assert str(path) not in str(caught.value)

    path.write_text("[web]\nport = -1\n")
    with pytest.raises(SettingsError) as caught:
        load(path, {"TRUECOUNT_WEB__PORT": "8080", "TRUECOUNT_PARTITIONS": "0"})
    assert "web.port" not in str(caught.value)

    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert str(caught.value).startswith(f"the configuration from {path} is invalid: web.port: ")


def test_an_option_is_not_blamed_on_a_variable() -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, {"TRUECOUNT_WEB__PORT": "8080"}, web__port=99_999)
    assert "environment variable" not in str(caught.value)


def test_a_rule_of_a_section_is_not_blamed_on_one_of_its_variables(tmp_path: Path) -> None:
    path = tmp_path / "truecount.toml"
    path.write_text('[broker]\nssl_keyfile = "key.pem"\n')
    with pytest.raises(SettingsError) as caught:
        load(path, {"TRUECOUNT_BROKER__SERVERS": "kafka:9092"})
    assert str(caught.value).startswith(f"the configuration from {path} is invalid: broker: ssl_keyfile is the key of")


def test_a_misspelt_key_of_the_file_is_named_with_the_nearest_one(tmp_path: Path) -> None:
    path = tmp_path / "truecount.toml"
    path.write_text("[time]\ntick_secnods = 5\n")
    with pytest.raises(SettingsError, match=r"time\.tick_secnods: unknown key; the nearest is time\.tick_seconds$"):
        load(path, {})


def test_where_error_reports_go_is_no_setting() -> None:
    assert load(None, {"TRUECOUNT_REPORTS": "reports"}) == Settings()


@settings(max_examples=30)
@given(st.text(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), max_size=40))
def test_any_variable_gets_a_hint(name: str) -> None:
    assert hint(Settings, [name.lower()], f"TRUECOUNT_{name}")
