"""What an operator's lists and the declared robots do to an event, and to its count."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.events.event import Event
from detectors.events.key import VIEW, key_of
from detectors.intake.rules.reasons import TAGS
from detectors.records import Outcome
from streams.ingest.rules.matchers import Networks
from streams.ingest.rules.tagging import Tagger
from streams.offline.pipeline import Offline
from streams.settings.live import live_changes
from streams.settings.rules import Rules
from streams.settings.section import SettingsError
from streams.settings.settings import Settings, load
from streams.targets.step import PartitionAudit, audit_settings
from tests.crowds import START_MS
from tests.streams.pipeline import Pipeline, audit_of

ROBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
BROWSER = "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0"
END_MS = START_MS + 600_000


def _reasons(rules: Rules, ip: str | None, agent: str | None) -> str:
    tags = Tagger(rules).tags([None, ip], [None, agent])
    return "" if tags is None else TAGS[tags[1]] or "exempt"


def _rules(**keys: object) -> Rules:
    return Rules.model_validate(keys)


def test_a_listed_network_a_listed_agent_and_a_declared_robot_each_have_a_reason() -> None:
    rules = _rules(networks=["203.0.113.0/24", "2001:db8::/32"], agents=["ViewBooster", "/^Farm [0-9]+$/"])
    assert _reasons(rules, "203.0.113.9", BROWSER) == "listed_network"
    assert _reasons(rules, "2001:db8::9", None) == "listed_network"
    assert _reasons(rules, "::ffff:203.0.113.9", None) == "listed_network"
    assert _reasons(rules, "198.51.100.9", "viewbooster/2") == "listed_agent"
    assert _reasons(rules, None, "Farm 12") == "listed_agent"
    assert _reasons(rules, "nowhere", ROBOT) == "declared_robot"
    assert _reasons(rules, "203.0.113.9", ROBOT) == "listed_network"
    assert _reasons(rules, "198.51.100.9", BROWSER) == ""
    assert _reasons(rules, None, None) == ""


def test_who_is_on_an_allow_list_is_exempt_whatever_else_is_known() -> None:
    rules = _rules(networks=["203.0.113.0/24"], allow={"networks": ["203.0.113.128/25"], "agents": ["Googlebot"]})
    assert _reasons(rules, "203.0.113.200", BROWSER) == "exempt"
    assert _reasons(rules, "203.0.113.200", "curl/8") == "exempt"
    assert _reasons(rules, "203.0.113.9", ROBOT) == "exempt"
    assert _reasons(rules, "203.0.113.9", BROWSER) == "listed_network"


def test_a_rule_that_is_off_catches_nothing() -> None:
    off = _rules(
        networks=["203.0.113.0/24"], agents=["Firefox"], off=["declared_robot", "listed_network", "listed_agent"]
    )
    assert Tagger(off).tags(["203.0.113.9"], [ROBOT]) is None
    assert Tagger(off).tags(["203.0.113.9"], [BROWSER]) is None


_networks = st.lists(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)).map(
        lambda made: str(ipaddress.ip_network((made[0] >> 20 << 20 | made[0] % 4096, made[1]), strict=False))
    ),
    max_size=8,
)


@given(_networks, st.integers(0, 2**32 - 1))
def test_an_address_is_listed_if_any_network_has_it(networks: list[str], number: int) -> None:
    for ip in (ipaddress.ip_address(number), *(ipaddress.ip_network(network)[-1] for network in networks)):
        assert Networks(networks).has(str(ip)) == any(ip in ipaddress.ip_network(network) for network in networks)


@pytest.mark.parametrize(
    ("key", "lines", "said"),
    [
        ("networks", "198.51.100.0/24\n\n# ours\n300.1.1.0/8\n", "line 4: '300.1.1.0/8' is not a network"),
        ("networks", "198.51.100.9/24\n", "line 1: '198.51.100.9/24' is not a network.*has host bits set"),
        ("agents", "fine\n/(/\n", r"line 2: /\(/ is not a valid regex"),
        ("agents", "/x*/\n", "line 1: .*matches the empty text"),
    ],
)
def test_a_bad_line_of_a_file_is_refused_with_file_and_line(tmp_path: Path, key: str, lines: str, said: str) -> None:
    file, config = tmp_path / "list.txt", tmp_path / "truecount.toml"
    file.write_text(lines)
    config.write_text(f'[rules]\n{key} = ["@{file}"]\n')
    with pytest.raises(SettingsError, match=rf"rules\.{key}: {file}, {said}"):
        load(config, {})
    with pytest.raises(SettingsError, match=r"rules\.networks: cannot read .*nothing-here: No such file"):
        load(None, {"TRUECOUNT_RULES__NETWORKS": f'["@{tmp_path}/nothing-here"]'})


def test_a_file_that_has_changed_is_a_change_of_the_configuration(tmp_path: Path) -> None:
    file = tmp_path / "networks.txt"
    file.write_text("198.51.100.0/24 # a data centre\n")
    environ = {"TRUECOUNT_RULES__NETWORKS": f'["203.0.113.0/24", "@{file}"]'}
    before = load(None, environ)
    assert before.rules.networks == ("203.0.113.0/24", "198.51.100.0/24")
    file.write_text("198.51.100.0/25\n")
    after = load(None, environ)
    assert live_changes(before, after) == ["rules.networks"]
    assert before.version() != after.version()
    with pytest.raises(SettingsError, match="unknown rule robots; the rules are duplicate_id, listed_network"):
        load(None, {"TRUECOUNT_RULES__OFF": '["robots"]'})


def _view(number: int, **fields: object) -> Event:
    return Event(ts=START_MS + 500 * number, actor=f"a{number}", target="v1", **fields)  # type: ignore[arg-type]  # fields by name


def test_hits_are_invalid_by_their_reason_and_in_no_window() -> None:
    pipe = Pipeline()
    pipe.play([_view(n, user_agent=ROBOT if n % 4 == 0 else BROWSER) for n in range(40)], batch=20)
    pipe.finish(END_MS)
    audit, outcome = audit_of(pipe.logs[0])
    watched = audit.audit.target_states[key_of(VIEW, "v1")]
    assert (watched.ledger.raw, watched.ledger.valid, watched.ledger.invalid) == (40, 30, {"declared_robot": 10})
    assert sum(hit.events for hit in outcome.hits) == 10
    assert watched.open["hour"].n == 30


def test_late_hits_are_invalid_as_well() -> None:
    pipe = Pipeline(lateness_seconds=0)
    pipe.play([_view(n) for n in range(200)])
    pipe.play([_view(1, user_agent=ROBOT), _view(2, user_agent=ROBOT, undo=True)])
    pipe.finish(END_MS)
    audit, outcome = audit_of(pipe.logs[0])
    assert outcome.late == 2
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.invalid == {"undone": 1}
    assert audit.audit.target_states[key_of(VIEW, "v1")].ledger.valid == 200


def test_a_robot_that_takes_its_like_back_takes_nobody_elses() -> None:
    pipe = Pipeline()
    robots = [_view(1, user_agent=ROBOT), _view(2, user_agent=ROBOT, undo=True), _view(3, user_agent=ROBOT, undo=True)]
    pipe.play([_view(0), *robots])
    pipe.finish(END_MS)
    audit, outcome = audit_of(pipe.logs[0])
    ledger = audit.audit.target_states[key_of(VIEW, "v1")].ledger
    assert (ledger.raw, ledger.valid, ledger.invalid) == (2, 1, {"undone": 1})
    assert outcome.unmatched_undos == 1


def test_a_log_is_audited_as_the_rules_stand_now() -> None:
    pipe = Pipeline()
    pipe.play([_view(n, user_agent=ROBOT, id=f"e{n % 8}") for n in range(10)])
    pipe.finish(END_MS)

    def parts(**rules: object) -> tuple[int, dict[str, int]]:
        audit = PartitionAudit(audit_settings(Settings(rules=_rules(**rules)), 0))
        for offset, value in enumerate(pipe.logs[0]):
            audit.apply(value, offset, Outcome())
        ledger = audit.audit.target_states[key_of(VIEW, "v1")].ledger
        return ledger.valid, ledger.invalid

    assert parts() == (0, {"declared_robot": 8, "duplicate_id": 2})
    assert parts(off=["declared_robot"]) == (8, {"duplicate_id": 2})
    assert parts(off=["duplicate_id"]) == (0, {"declared_robot": 10})
    assert parts(allow={"targets": ["v1"]}) == (8, {"duplicate_id": 2})
    assert parts(allow={"actors": ["a0", "a9", "b"]}) == (1, {"declared_robot": 7, "duplicate_id": 2})


def test_an_offline_replay_tells_the_reasons() -> None:
    settings = Settings(rules=_rules(networks=["203.0.113.0/24"]))
    values = [
        b'{"ts":1700000000000,"metric":"view","actor":"a","target":"v","ip":"203.0.113.5"}',
        b'{"ts":1700000000000,"metric":"view","actor":"b","target":"v","user_agent":"curl/8.0"}',
        b'{"ts":1700000000000,"metric":"view","actor":"c","target":"v","ip":"198.51.100.5"}',
    ]
    summary = Offline(settings, lambda *_: None).run(values)
    assert (summary.raw, summary.valid) == (3, 1)
    assert summary.invalid == {"listed_network": 1, "declared_robot": 1}
