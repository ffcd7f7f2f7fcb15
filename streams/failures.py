"""What ends a command: a sentence for standard error, and the exit code."""

from __future__ import annotations


class Failure(Exception):  # noqa: N818  # its children are named …Error
    """The message is a sentence that says what happened, to what, and what to do.

    Exit codes: 1 not as wanted, 2 usage or configuration, 3 broker. Anything else that ends a command is an internal
    error: exit code 70, see cli.crash.
    """

    exit_code = 1
