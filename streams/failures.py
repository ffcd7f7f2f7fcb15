"""The base of exceptions that end a command with a sentence on standard error and an exit code."""

from __future__ import annotations


class Failure(Exception):  # noqa: N818  # subclasses are named …Error
    """An expected failure. The message is a sentence: what happened, where, and what to do.

    Exit codes: 1 not as wanted, 2 usage or configuration, 3 broker. Any other exception is an internal error with exit
    code 70, see cli.crash.
    """

    exit_code = 1
