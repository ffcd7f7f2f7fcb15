"""Texts of users' data for the terminal: one line, without control characters."""

from __future__ import annotations


def plain(text: str) -> str:
    r"""A text as it may be printed: characters that would move the cursor or break the line are escaped.

    >>> print(plain("vëlö 1"), plain("a\tb\n"), plain("\x1b[2J"))
    vëlö 1 a\tb\n \x1b[2J
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
