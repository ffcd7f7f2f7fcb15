"""What is left of a command that met an error which nobody foresaw: one sentence and a report."""

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
    """Write a report of the error. Answers the sentence that ends the command."""
    kind = type(error).__name__
    reason = " ".join(str(error).split())
    told = f"{kind}: {reason}" if reason else kind
    try:
        path = _write(error, arguments)
    except OSError as other:
        return f"an error that should not be: {told} (no report could be written: {other.strerror})"
    return f"an error that should not be: {told}. What is known of it is in {path}; please report it"


def _write(error: BaseException, arguments: Sequence[str]) -> Path:
    directory = Path(os.environ.get(DIRECTORY) or tempfile.gettempdir())
    directory.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    handle, name = tempfile.mkstemp(prefix=f"truecount-report-{stamp}-", suffix=".txt", dir=directory)
    with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:  # noqa: PTH123  # it is open already
        file.write(f"truecount {installed_version()}\n")
        file.write(f"command: truecount {' '.join(without_secrets(arguments))}\n")
        file.write(f"python: {platform.python_version()} on {platform.platform()}\n\n")
        file.writelines(traceback.format_exception(error, limit=-100))
    return Path(name)


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """A command line for a report: values of options that name a secret, and passwords in addresses, are left out.

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
