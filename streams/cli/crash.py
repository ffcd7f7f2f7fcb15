"""Reports an unexpected error of a command: one sentence, and a file with the details."""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from streams.service.version import installed_version

DIRECTORY = "TRUECOUNT_REPORTS"

_SECRET = re.compile(r"(?i)(pass|secret|token|credential|api[-_]?key)")
_ADDRESS = re.compile(r"(://[^/:@\s]*):[^@\s]*@")


def report(error: BaseException, arguments: Sequence[str]) -> str:
    """Write a report of the error. Returns the last sentence of the command."""
    kind = type(error).__name__
    reason = " ".join(str(error).split())
    summary = f"{kind}: {reason}" if reason else kind
    try:
        path = _write(error, arguments)
    except OSError as other:
        return f"internal error: {summary} (no report could be written: {other.strerror}). Please report this error"
    return f"internal error: {summary}. Please report it, with the file {path}"


def _write(error: BaseException, arguments: Sequence[str]) -> Path:
    directory = Path(os.environ.get(DIRECTORY) or tempfile.gettempdir())
    directory.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    handle, name = tempfile.mkstemp(prefix=f"truecount-report-{stamp}-", suffix=".txt", dir=directory)
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123  # a file descriptor
        file.write(f"truecount {installed_version()}\n")
        file.write(f"command: truecount {' '.join(without_secrets(arguments))}\n")
        file.write(f"python: {platform.python_version()} on {platform.platform()}\n\n")
        file.writelines(traceback.format_exception(error, limit=-100))
    return Path(name)


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """A command line for a report, without values of secret options and without passwords in addresses.

    >>> without_secrets(["worker", "--password", "x", "--token=y", "-s", "sasl://me:z@host:9092"])
    ['worker', '--password', '***', '--token=***', '-s', 'sasl://me:***@host:9092']
    """
    shown: list[str] = []
    hide = False
    for argument in arguments:
        option, given, _ = argument.partition("=")
        secret = bool(_SECRET.search(option)) and argument.startswith("-")
        if hide:
            shown.append("***")
        elif secret and given:
            shown.append(f"{option}=***")
        else:
            shown.append(_ADDRESS.sub(r"\1:***@", argument))
        hide = secret and not given
    return shown
