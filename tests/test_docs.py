"""The documentation says what is so: its files, configurations, commands, reasons and records exist."""

from __future__ import annotations

import ast
import json
import re
import runpy
import shlex
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest
import typer.main

from detectors.cases.explanations import CODES as EXPLAINING
from detectors.cases.given_back import RULINGS_REVERSED
from detectors.cases.settlements import CODES as SETTLING
from detectors.catalog.drip import DRIP_CODE
from detectors.catalog.registry import REGISTRY, SELLERS_CODE
from detectors.catalog.surge import SURGE_CODE
from detectors.events.event import FIELDS
from detectors.records import Correction, Count, Flag
from detectors.scoring.calibration import HISTORY_MIN
from detectors.scoring.detector import Detector
from detectors.scoring.river_models import UNLIKE_CROWD_CODE
from detectors.scoring.sentences import TEXTS
from docs import build_files, build_metrics, build_pictures
from streams.cli import app
from streams.codecs.registry import CODECS
from streams.deadletters import Why
from streams.evidence.flag_row import FIELDS as FIELDS_OF_LINE
from streams.ingest.mapping.decoder import EventDecoder
from streams.ingest.mapping.records import Records
from streams.roles import own_topics
from streams.settings.inputs import Input
from streams.settings.section import SettingsError
from streams.settings.settings import Settings, load, load_map
from tests.contract.codec_samples import shown_codec

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
MODULES = sorted([*(ROOT / "streams").rglob("*.py"), *(ROOT / "detectors").rglob("*.py")])
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS.rglob("*.md")])

FENCED = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINKED = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# A path of this repository: it begins at the root and ends in a suffix or a slash.
NAMED_FILE = re.compile(r"`((?:[\w.-]+/)+(?:[\w-]+\.\w+)?|[\w-]+\.(?:md|toml|lock|yml))`")

# What a TOML block is, said after the word toml.
CONFIGURATION, REPLAY_MAP, MAP_FIELDS = "config", "replay-map", "map-fields"
NEEDED_BY_A_MAP = {"ts": "t", "actor": "a", "target": "g"}


class Block(NamedTuple):
    """A fenced block of a page."""

    page: str
    kind: str
    text: str


def _blocks(language: str) -> list[Block]:
    found = []
    for page in PAGES:
        for info, text in FENCED.findall(page.read_text()):
            word, _, kind = info.partition(" ")
            if word == language:
                found.append(Block(str(page.relative_to(ROOT)), kind.strip(), text))
    return found


def _without_blocks(page: Path) -> str:
    return FENCED.sub("", page.read_text())


def _anchor(heading: str) -> str:
    """The anchor that a forge gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


# ------------------------------------------------------------------ files


def test_every_file_that_the_architecture_names_exists() -> None:
    named = set(NAMED_FILE.findall((DOCS / "architecture.md").read_text()))
    assert len(named) > 25
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_the_page_of_files_has_every_module_in_its_own_words() -> None:
    assert build_files.PAGE.read_text() == build_files.page(), "run `python -m docs.build_files`"


def test_every_folder_has_its_place_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text()
    inits = [*(ROOT / "streams").rglob("__init__.py"), *(ROOT / "detectors").rglob("__init__.py")]
    folders = sorted({"/".join(path.parent.relative_to(ROOT).parts[:2]) for path in inits} - {"streams", "detectors"})
    assert len(folders) > 25
    assert [folder for folder in folders if f"`{folder}/`" not in text] == []


def test_every_module_says_what_it_is() -> None:
    assert [str(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINKED.findall(_without_blocks(page)):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE) if target.suffix == ".md" else []
        if not target.exists() or (anchor and anchor not in map(_anchor, headings)):
            broken.append(link)
    assert broken == []


# ------------------------------------------------------------------ configurations


def _load(block: Block, directory: Path) -> None:
    """Read a block with the code that reads such a file at start. Raises SettingsError."""
    path = directory / "shown.toml"
    path.write_text(block.text)
    if block.kind == CONFIGURATION:
        load(path, environ={})
    elif block.kind == REPLAY_MAP:
        load_map(path)
    else:
        assert block.kind == MAP_FIELDS, f"{block.page}: say after ```toml what the block is"
        rest = [
            f'{name} = "{source}"\n'
            for name, source in NEEDED_BY_A_MAP.items()
            if not re.search(rf"^{name} *=", block.text, re.MULTILINE)
        ]
        whole = f'[[inputs]]\ntopic = "shown"\nmetric = "view"\n[inputs.map]\n{"".join(rest)}{block.text}'
        path.write_text(whole)
        load(path, environ={})


def test_every_configuration_that_is_shown_loads(tmp_path: Path) -> None:
    blocks = _blocks("toml")
    assert {block.kind for block in blocks} == {CONFIGURATION, REPLAY_MAP, MAP_FIELDS}
    for block in blocks:
        _load(block, tmp_path)


@pytest.mark.parametrize("kind", [CONFIGURATION, REPLAY_MAP, MAP_FIELDS])
def test_a_misspelled_key_in_a_shown_configuration_would_be_seen(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        _load(Block("a page", kind, 'targte = "media.id"\n'), tmp_path)


# ------------------------------------------------------------------ code and records


def test_every_json_that_is_shown_is_one_document() -> None:
    blocks = _blocks("json")
    assert len(blocks) > 2
    for block in blocks:
        assert isinstance(json.loads(block.text), dict), block.page


def test_the_detector_that_is_shown_is_one(tmp_path: Path) -> None:
    (block,) = (block for block in _blocks("python") if block.page == "docs/adding-a-detector.md")
    path = tmp_path / "shown.py"
    path.write_text(block.text)
    detector = runpy.run_path(str(path))["Repeats"]()
    assert isinstance(detector, Detector)

    odd = {"count": 100.0, "repeats": 0.9}
    assert detector.score_one(odd) == 0.0, "nothing is odd before there is a history"
    for number in range(2 * HISTORY_MIN):
        detector.learn_one({"count": 100.0, "repeats": 0.01 * (number % 7)})
    assert detector.score_one(odd) > 2
    assert [finding.code for finding in detector.findings(odd)] == ["repeated"]
    assert detector.score_one({"count": 100.0}) == 0.0, "an absent feature is no evidence"

    other = runpy.run_path(str(path))["Repeats"]()
    other.load(json.loads(json.dumps(detector.dump())))
    assert other.score_one(odd) == detector.score_one(odd)


def test_the_codec_that_is_shown_reads_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """tests/contract/test_codecs.py holds it to the whole contract."""
    monkeypatch.setitem(CODECS, "msgpack", shown_codec())
    fields = {"ts": "at", "actor": "who", "target": "what"}
    source = Input.model_validate({"topic": "plays", "metric": "view", "format": "msgpack", "map": fields})
    value = msgspec.msgpack.encode({"at": 1_700_000_000_000, "who": 17, "what": "v1"})
    decoded = EventDecoder(source).decode(Records.values([value, b"\xc1"], 0), np.full(2, 2_000_000_000_000))
    assert [refusal.reason for refusal in decoded.refused] == [Why.UNDECODABLE]
    assert decoded.good is not None
    assert (decoded.good.fields["actor"], decoded.good.fields["target"]) == (["17"], ["v1"])


# ------------------------------------------------------------------ commands


def _shown_commands() -> list[str]:
    """Every ``truecount …`` line of a shell block and every one in running text."""
    found = set()
    for block in _blocks("sh"):
        for line in block.text.replace("\\\n", " ").splitlines():
            command = line.split("#")[0].split("|")[0].strip()
            if command.startswith("truecount "):
                found.add(command)
    for page in PAGES:
        found |= set(re.findall(r"`(truecount [^`…<]+)`", _without_blocks(page)))
    return sorted(found)


def _refused(command: str) -> str | None:
    """What the command line says against a command, None if it would take it."""
    node: Any = typer.main.get_command(app)
    words = shlex.split(command)[1:]
    if len(words) == 1 and words[0] in {option for parameter in node.params for option in parameter.opts}:
        return None
    while hasattr(node, "commands"):
        inner = node.get_command(None, words.pop(0)) if words else None
        if inner is None:
            return f"no such command: {command}"
        node = inner
    if "--help" in words or not words:
        return None
    try:
        node.make_context("truecount", words)
    except Exception as error:  # noqa: BLE001  # typer's own click does not export its errors
        return str(error)
    return None


def test_every_command_that_is_shown_is_taken() -> None:
    shown = _shown_commands()
    assert len(shown) > 10
    assert {command: refusal for command in shown if (refusal := _refused(command))} == {}


@pytest.mark.parametrize(
    "command", ["truecount adudit", "truecount --verson", "truecount worker --sped 3", "truecount topics make"]
)
def test_a_command_that_does_not_exist_would_be_seen(command: str) -> None:
    assert _refused(command)


def test_every_make_target_that_is_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    lines = [line for block in _blocks("sh") for line in block.text.splitlines()]
    shown = {word for line in lines for word in re.findall(r"^make ([a-z]+)", line)}
    for page in PAGES:
        shown |= set(re.findall(r"`make ([a-z]+)", _without_blocks(page)))
    assert "demo" in shown
    assert shown - targets == set()


# ------------------------------------------------------------------ closed sets


def _first_cells(page: Path, heading: str) -> set[str]:
    """What stands in backticks in the first column of the tables under a heading."""
    text = page.read_text()
    assert f"\n{heading}\n" in text, f"{page.name} has no heading {heading}"
    section = re.split(r"^## ", text.partition(f"\n{heading}\n")[2], flags=re.MULTILINE)[0]
    return set(re.findall(r"^\| `([^`]+)`", section, re.MULTILINE))


def test_the_event_table_has_every_field() -> None:
    assert _first_cells(DOCS / "events.md", "## The native event") == set(FIELDS)


def test_the_dead_letter_table_has_every_reason() -> None:
    assert _first_cells(DOCS / "events.md", "## Dead letters") == {str(reason) for reason in Why}


def test_the_table_of_reasons_has_every_code() -> None:
    codes = {SURGE_CODE, DRIP_CODE, UNLIKE_CROWD_CODE, SELLERS_CODE, RULINGS_REVERSED, *EXPLAINING, *SETTLING}
    codes |= {code for code, _ in TEXTS.values()}
    assert _first_cells(DOCS / "events.md", "## Reasons") == codes


@pytest.mark.parametrize(
    ("heading", "record"),
    [("## flagged-events", Flag), ("## corrections", Correction), ("## audited-counts", Count)],
)
def test_the_record_tables_have_every_field(heading: str, record: type[Any]) -> None:
    assert _first_cells(DOCS / "events.md", heading) == {name.removesuffix("_") for name in record.__annotations__}


def test_the_table_of_a_line_has_every_field_of_a_flag_in_its_order() -> None:
    table = (DOCS / "operations.md").read_text().partition("| field | what |\n|---|---|\n")[2].partition("\n\n")[0]
    named = re.findall(r"`([a-z_]+)`", "\n".join(line.split("|")[1] for line in table.splitlines()))
    assert named == list(FIELDS_OF_LINE)


def test_the_readme_names_every_topic() -> None:
    text = (ROOT / "README.md").read_text()
    assert [name for topic in own_topics(Settings()) if f"`{(name := topic.name(Settings()))}`" not in text] == []


def test_the_architecture_names_every_detector() -> None:
    text = (DOCS / "architecture.md").read_text()
    assert [name for name in REGISTRY if f"`detectors/catalog/{name}.py`" not in text] == []


def test_the_page_of_metrics_is_fresh() -> None:
    assert build_metrics.PAGE.read_text() == build_metrics.page(), "run `python -m docs.build_metrics`"


@pytest.mark.parametrize("name", sorted(build_pictures.PICTURES))
def test_a_picture_is_what_the_code_and_the_figures_draw(name: str) -> None:
    drawn = (build_pictures.DIRECTORY / f"{name}.svg").read_text()
    assert drawn == build_pictures.PICTURES[name](), "run `python -m docs.build_pictures`"


# ------------------------------------------------------------------ decisions


def test_every_decision_has_its_number_and_its_three_parts() -> None:
    decisions = sorted((DOCS / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        text = path.read_text()
        headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], path.name
        assert text.startswith(f"# {path.name[:4]} "), path.name


def test_every_dependency_has_a_reason() -> None:
    reasons = (DOCS / "decisions" / "0002-dependencies.md").read_text()
    project = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|dev|image) = \[\n(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    names = [name for entries in lists for name in re.findall(r'^ +"([\w-]+)', entries, re.MULTILINE)]
    assert len(names) > 20
    assert [name for name in names if f"| `{name}` |" not in reasons] == []
