"""A configuration is refused before it runs, with the key's name and a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from detectors.cases.explanations import Promotion
from detectors.events.key import VIEW, key_of
from detectors.thresholds import Rulebook, Thresholds
from streams.settings.section import SettingsError
from streams.settings.settings import Settings, load, load_map


def _file(directory: Path, text: str) -> Path:
    path = directory / "truecount.toml"
    path.write_text(text)
    return path


def _refusal(directory: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(_file(directory, text), {})
    return str(caught.value)


def test_nothing_given_means_the_defaults() -> None:
    assert load(None, {}) == Settings()


def test_an_unknown_key_of_the_file_is_refused_by_name(tmp_path: Path) -> None:
    assert "partitons: unknown key" in _refusal(tmp_path, "partitons = 3")
    assert "time.tik_seconds: unknown key" in _refusal(tmp_path, "[time]\ntik_seconds = 5")
    assert str(tmp_path) in _refusal(tmp_path, "x = 1")


def test_an_unknown_key_of_the_environment_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"broker\.server: unknown key"):
        load(None, {"TRUECOUNT_BROKER__SERVER": "kafka:9092"})


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "nonsense = 1\npartitions = 0\n[web]\nport = 99999")
    assert all(key in message for key in ("nonsense", "partitions", "web.port"))


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = _file(tmp_path, 'partitions = 3\n[broker]\nservers = "a:1"')
    settings = load(path, {"TRUECOUNT_BROKER__SERVERS": "b:2,c:3", "TRUECOUNT_TIME__TICK_SECONDS": "5"})
    assert settings.broker.servers == "b:2,c:3"
    assert settings.time.tick_seconds == 5
    assert settings.partitions == 3


def test_other_programs_variables_and_the_name_of_the_file_are_no_keys() -> None:
    assert load(None, {"HOME": "/root", "TRUECOUNT_CONFIG": "/etc/x.toml"}) == Settings()


def test_a_list_comes_by_the_environment_as_toml() -> None:
    settings = load(None, {"TRUECOUNT_INPUTS": '[{topic = "plays", metric = "view"}]'})
    assert [i.topic for i in settings.inputs] == ["plays"]
    with pytest.raises(SettingsError, match="TRUECOUNT_INPUTS is not a TOML value"):
        load(None, {"TRUECOUNT_INPUTS": "[{topic"})


def test_a_value_where_a_section_is_meant_is_refused_and_not_a_crash() -> None:
    with pytest.raises(SettingsError, match="broker"):
        load(None, {"TRUECOUNT_BROKER": "kafka:9092", "TRUECOUNT_BROKER__SERVERS": "kafka:9092"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml", {})
    assert "not valid TOML" in _refusal(tmp_path, "partitions = ")


def test_a_password_file_that_is_missing_is_a_sentence(tmp_path: Path) -> None:
    settings = load(_file(tmp_path, f'[broker]\npassword_file = "{tmp_path}/none"'), {})
    with pytest.raises(SettingsError, match=r"broker\.password_file"):
        settings.broker.secret()


def test_a_secret_is_not_shown() -> None:
    settings = load(None, {"TRUECOUNT_BROKER__PASSWORD": "hunter2"})
    assert settings.broker.secret() == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings.model_dump(mode="json"))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ('ts = "t"\nactor = "a"', "the map lacks target, metric"),
        ('ts = "t"\nactor = "a"\ntarget = "v"\nmetric = {value = "share"}', "must be one of view, like, follow"),
        ('ts = "t"\nactor = "a"\ntarget = "v"\nviewer = "u"', "unknown field 'viewer'"),
        ('ts = {path = "t", value = 3}\nactor = "a"\ntarget = "v"', "give exactly one of path, outer"),
        ('ts = {path = "t", format = "iso"}\nactor = "a"\ntarget = "v"', "unknown key"),
    ],
)
def test_a_map_that_cannot_make_an_event_is_refused(tmp_path: Path, fields: str, sentence: str) -> None:
    assert sentence in _refusal(tmp_path, f'[[inputs]]\ntopic = "plays"\n[inputs.map]\n{fields}')


def test_a_topic_may_be_listed_once(tmp_path: Path) -> None:
    assert "'plays' is listed twice" in _refusal(tmp_path, '[[inputs]]\ntopic = "plays"\n' * 2)


def test_a_tick_must_divide_the_next_longer_window(tmp_path: Path) -> None:
    assert "time.tick_seconds: must divide five minutes" in _refusal(tmp_path, "[time]\ntick_seconds = 7")


@pytest.mark.parametrize("name", ["reviews", "wiki_edits"])
def test_the_maps_that_are_shipped_load(name: str) -> None:
    fields = load_map(Path(f"deploy/examples/{name}.toml")).map
    assert fields is not None
    assert {"ts", "actor", "target", "metric"} <= fields.keys()


@pytest.mark.parametrize("path", ["deploy/truecount.toml", "deploy/examples/mapped_input.toml"])
def test_the_configurations_that_are_shipped_load(path: str) -> None:
    load(Path(path), {})


def test_the_version_changes_with_what_can_change_a_count_and_with_nothing_else() -> None:
    version = Settings().version()
    assert load(None, {"TRUECOUNT_TIME__TICK_SECONDS": "5"}).version() != version
    assert load(None, {"TRUECOUNT_STATE__DEDUPE_IDS": "5"}).version() != version
    assert load(None, {"TRUECOUNT_BROKER__SERVERS": "b:2", "TRUECOUNT_WEB__PORT": "0"}).version() == version


def test_a_detector_that_there_is_not_cannot_stand_in_shadow() -> None:
    with pytest.raises(SettingsError, match="unknown detector clairvoyance"):
        load(None, {"TRUECOUNT_DETECTION__SHADOW": '["clairvoyance"]'})


def test_a_detector_in_shadow_is_another_configuration() -> None:
    assert load(None, {"TRUECOUNT_DETECTION__SHADOW": '["cadence"]'}).version() != load(None, {}).version()


MODEL = "[detection.models.neighbours]\n"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('model = "river.anomaly.LocalOutlierFactr"', "cannot import 'river.anomaly.LocalOutlierFactr'"),
        ('model = "rivr.anomaly.HalfSpaceTrees"', "cannot import 'rivr.anomaly.HalfSpaceTrees'"),
        ('model = "river.anomaly.LocalOutlierFactor"\narguments = {neighbors = 3}', "cannot be created with"),
        ('model = "river.stats.Mean"', "has no score_one and learn_one"),
        ('model = "river.anomaly.GaussianScorer"', "failed when it was tried"),
        ('model = "river.anomaly.OneClassSVM"\nfamily = "whom"', "family"),
        ('model = "river.anomaly.OneClassSVM"\nwindow = 3', "unknown key"),
    ],
)
def test_a_model_that_cannot_be_one_is_refused_by_a_sentence(tmp_path: Path, lines: str, said: str) -> None:
    refused = _refusal(tmp_path, MODEL + lines)
    assert "detection.models.neighbours" in refused
    assert said in refused


def test_a_model_may_not_take_a_detectors_name(tmp_path: Path) -> None:
    refused = _refusal(tmp_path, '[detection.models.watch]\nmodel = "river.anomaly.OneClassSVM"')
    assert "'watch' cannot be a model's name" in refused


def test_a_model_starts_in_shadow_and_its_seed_is_set(tmp_path: Path) -> None:
    text = MODEL + 'model = "river.anomaly.HalfSpaceTrees"\narguments = {n_trees = 3, height = 4}'
    settings = load(_file(tmp_path, text), {})
    (choice,) = settings.detection.choices()
    assert choice.shadow
    assert (choice.make().seed, choice.make().n_trees) == (1, 3)  # type: ignore[attr-defined]  # River's own
    assert settings.version() != Settings().version()


def test_a_pipeline_is_a_model_behind_transforms(tmp_path: Path) -> None:
    text = MODEL + (
        'model = "river.anomaly.OneClassSVM"\ntransforms = [{model = "river.preprocessing.StandardScaler"}]\n'
        'family = "who"\nshadow = false'
    )
    (choice,) = load(_file(tmp_path, text), {}).detection.choices()
    assert list(choice.make().steps) == ["StandardScaler", "OneClassSVM"]  # type: ignore[attr-defined]  # as above


def test_thresholds_of_a_metric_and_of_a_class_stand_over_the_general_ones(tmp_path: Path) -> None:
    text = """
    [detection]
    excess_events = 12
    [detection.metric.like]
    suspect_score = 3.5
    [detection.class.news]
    prefixes = ["news-"]
    surge_score = 5
    """
    book = load(_file(tmp_path, text), {}).detection.rulebook()
    assert book.of(key_of(VIEW, "v1")) == Thresholds(excess_events=12)
    assert book.of(key_of(1, "v1")) == Thresholds(excess_events=12, suspect_score=3.5)
    assert book.of(key_of(1, "news-1")) == Thresholds(excess_events=12, suspect_score=3.5, surge_score=5.0)


def test_without_thresholds_in_the_configuration_the_judges_own_hold() -> None:
    assert Settings().detection.rulebook() == Rulebook()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[detection]\nsuspect_score = 5", "suspect_score is above artificial_score for views"),
        ("[detection.metric.like]\nsurge_score_least = 4", "surge_score_least is above surge_score for likes"),
        ('[detection.class.a]\nprefixes = ["a"]\nartificial_score = 2', "class.a: suspect_score is above"),
        ("[detection]\nartificial_share = 30", "detection.artificial_share: Input should be less than or equal to 1"),
        ("[detection]\nexcess_events = 0", "detection.excess_events"),
        ("[detection.metric.share]\nsurge_score = 4", "'view', 'like' or 'follow'"),
        ("[detection.class.a]\nsurge_score = 4", "detection.class.a: the class has no targets"),
        ('[detection.class.a]\npattern = "("', "detection.class.a.pattern: '(' is not a valid regular expression"),
        ('[detection.class.a]\nprefixes = [""]', "an empty prefix would match every target"),
        ('[detection.class.a]\ntargets = ["a"]\nscore = 4', "detection.class.a.score: unknown key"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    assert said in _refusal(tmp_path, text)


PROMOTION = '[[detection.promotions]]\ntarget = "v1"\n'


def test_a_promotion_is_given_in_a_zones_time_or_in_milliseconds(tmp_path: Path) -> None:
    text = PROMOTION + 'from = 2026-03-01T18:00:00+01:00\nuntil = 1772445600000\nmetric = "like"\nfactor = 3.5'
    (promotion,) = load(_file(tmp_path, text), {}).detection.announced()
    assert promotion == Promotion("a promotion", "v1", 1_772_384_400_000, 1_772_445_600_000, 1, 3.5)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("from = 2026-03-01T18:00:00\nuntil = 2026-03-02T18:00:00Z", "has no time zone"),
        ("from = 20\nuntil = 10", "the promotion of 'v1' ends before it begins"),
        ("from = 10\nuntil = 20\nfactor = 0.5", "factor"),
        ("from = 10\nuntil = 20\nmetric = 'share'", "metric"),
        ("until = 20", "from: Field required"),
    ],
)
def test_a_promotion_that_makes_no_sense_is_refused(tmp_path: Path, lines: str, said: str) -> None:
    assert said in _refusal(tmp_path, PROMOTION + lines)


def test_settings_that_travelled_to_another_process_as_json_are_the_same() -> None:
    """The demo's worker is told so."""
    text = '[{target = "v1", from = 10, until = 20}]'
    settings = load(
        None,
        {
            "TRUECOUNT_DETECTION__PROMOTIONS": text,
            "TRUECOUNT_DETECTION__CLASS": '{news = {prefixes = ["n"], surge_score = 4}}',
        },
    )
    again = Settings.model_validate(settings.model_dump(mode="json", exclude={"broker": {"password"}}))
    assert again.version() == settings.version()
