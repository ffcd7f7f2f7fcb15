"""Rules that the repository keeps about itself."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ["requirements.lock", "requirements-dev.lock", "requirements-image.lock", "requirements-compiled.lock"]

# A file wants to stay under 300 lines; above this it is two files, a function two functions, a folder two folders.
MAX_LINES = 350
MAX_FUNCTION_LINES = 50
MAX_FILES = 15

# Where packages come from is for the machine that installs them to say.
REGISTRIES = re.compile(
    r"pypi\.org|pythonhosted\.org|repo1?\.maven\.|maven\.apache\.org|deb\.debian\.org|crates\.io"
    r"|registry\.npmjs\.org|proxy\.golang\.org"
)
# Places that exist only on the machines this was written on.
MACHINE_PATHS = re.compile(r"(?<![\w.)}\]-])/(?:work|opt/wheels|tmp/tc|root|Users)/")

EXEMPTION = re.compile(r"#\s*(?:noqa|type:\s*ignore|pragma:)")
# A code, then a comment of its own.
REASONED = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|type:\s*ignore\[[\w,\s-]+\]|pragma:[\w\s]+)\s*#\s*\w.{3,}"
)


def _files() -> list[Path]:
    """What git tracks, or would once it is added."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [path for name in sorted(set(listing.split("\0")) - {""}) if (path := ROOT / name).is_file()]


def _lines(*suffixes: str) -> Iterator[tuple[str, str]]:
    """("path:number", line) of every text file, or of those with one of the suffixes."""
    for path in _files():
        if suffixes and path.suffix not in suffixes:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not a text
        for number, line in enumerate(text.splitlines(), 1):
            yield f"{path.relative_to(ROOT)}:{number}", line


def test_a_test_that_one_target_leaves_out_is_run_by_the_other_and_ci_runs_both_without_skips() -> None:
    makefile = (ROOT / "Makefile").read_text()
    selected = dict(re.findall(r"^(test[a-z-]*):.*\n\t\$\(PYTEST\) -m (.*) \$\(ARGS\)$", makefile, re.MULTILINE))
    assert selected == {"test": "'not slow'", "test-slow": "slow"}
    steps = (ROOT / ".ci" / "run").read_text().splitlines()
    assert {"make check", "make quality", *(f"make {target} NO_SKIP=1" for target in selected)} <= set(steps)


MODULES = [path for package in ("streams", "detectors") for path in sorted((ROOT / package).rglob("*.py"))]


def test_no_module_needs_a_table_of_contents() -> None:
    assert MODULES
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in MODULES}
    assert {path: length for path, length in lengths.items() if length > MAX_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > MAX_FUNCTION_LINES} == {}


def test_no_folder_has_more_files_than_a_reader_takes_in() -> None:
    folders = Counter(str(path.parent.relative_to(ROOT)) for path in MODULES)
    assert {folder: count for folder, count in folders.items() if count > MAX_FILES} == {}


# What these words say, the field has a word for (CONTRIBUTING.md, docs/decisions/0033-plain-english.md).
IMAGES = re.compile(
    r"\b(?:house|rooms?|desk|said|told|holds|stands|company|unsaid|elsewhere|peers|checkup)\b", re.IGNORECASE
)


def _names_and_first_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each name that a module defines or uses, in words, and the first line of each docstring, with its line."""
    for node in ast.walk(ast.parse(path.read_text())):
        line = getattr(node, "lineno", 1)
        match node:
            case ast.Module() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield line, (ast.get_docstring(node) or "").partition("\n")[0]
                yield line, "" if isinstance(node, ast.Module) else _words(node.name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name):
                yield line, _words(name)
            case _:
                pass


def _words(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)


def test_names_and_first_lines_use_no_images() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for path in MODULES
        for line, text in _names_and_first_lines(path)
        if IMAGES.search(text)
    ]
    assert found == []


@pytest.mark.parametrize("source", ["def f(): 'What a desk is told.'", "said = 1", "x.told", "class Desk: ..."])
def test_an_image_would_be_seen(source: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(source)
    assert any(IMAGES.search(text) for _, text in _names_and_first_lines(module))


def test_no_file_names_a_package_registry() -> None:
    assert [where for where, line in _lines() if REGISTRIES.search(line)] == []


def test_no_file_names_a_place_on_one_machine() -> None:
    assert [where for where, line in _lines() if MACHINE_PATHS.search(line)] == []


def test_every_exemption_states_its_reason_on_its_line() -> None:
    bare = [
        where
        for where, line in _lines(".py")
        if EXEMPTION.search(line) and not REASONED.search(line) and not where.startswith("tests/test_repo.py")
    ]
    assert bare == []


@pytest.mark.parametrize(
    ("line", "reasoned"),
    [
        ("x = 1  # noqa", False),
        ("x = 1  # noqa: S101", False),
        ("x = 1  # noqa: S101, E501  # the field's own name", True),
        ("x = f()  # type: ignore", False),
        ("x = f()  # type: ignore[arg-type]", False),
        ("x = f()  # type: ignore[arg-type]  # no None left here", True),
    ],
)
def test_an_exemption_is_reasoned_only_with_a_code_and_a_comment(line: str, reasoned: bool) -> None:
    assert EXEMPTION.search(line)
    assert bool(REASONED.search(line)) is reasoned


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_with_a_hash_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*--?(?:i|f|index-url|extra-index-url|find-links|trusted-host)\b", text, re.MULTILINE)

    requirements = re.findall(r"^(\S.*?)(?=^\S|\Z)", text.replace("\\\n", " "), re.MULTILINE | re.DOTALL)
    pinned = [requirement for requirement in requirements if not requirement.startswith("#")]
    assert len(pinned) > 10
    unpinned = [line.split()[0] for line in pinned if "==" not in line or "--hash=sha256:" not in line]
    assert unpinned == []


def test_all_locks_hold_the_same_versions() -> None:
    runtime, dev, *tools = (
        {line.split(" \\")[0] for line in (ROOT / name).read_text().splitlines() if re.match(r"[a-z0-9]", line)}
        for name in LOCKS
    )
    assert runtime < dev
    for lock in tools:
        shared = {line.partition("==")[0] for line in lock} & {line.partition("==")[0] for line in dev}
        assert shared
        assert {line for line in lock if line.partition("==")[0] in shared} <= dev
