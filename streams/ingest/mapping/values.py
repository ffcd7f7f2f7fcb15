"""Converts values of documents into values of native events, one column at a time.

A column is a list with one value for each row. None means "not given". A value that cannot be read becomes
``Unreadable``, which has the reason. Nearly all columns have only values of the right type: these are not checked value
by value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from detectors.events.event import MAX_TS_MS, METRICS
from streams.deadletters import BAD_VALUE, Why
from streams.grammar.times import UNITS, iso_times, kind_of, number_of, short, time_of

ValueColumn = list[Any]
Convert = Callable[[Any], Any]
"""Converts one value that is not None. Raises ValueError, TypeError or OverflowError with a sentence."""
ConvertColumn = Callable[[ValueColumn], ValueColumn]

YES = frozenset(("true", "t", "yes", "y", "on", "1"))
NO = frozenset(("false", "f", "no", "n", "off", "0"))

EXACT_FLOAT = 1 << 53
"""Whole numbers below it are exact as a float. Above it, an id that was written as a float may be another id."""


class Unreadable(NamedTuple):
    """A value that cannot be read: the reason (of Why or UNREAD) and a sentence."""

    why: str
    message: str


class UnknownWordError(ValueError):
    """A word is not in the list of words."""


def column_converter(convert: Convert, why: str, plain: frozenset[type]) -> ConvertColumn:
    """Make a function that converts columns. Values of the types ``plain`` are kept. Empty text becomes None."""

    def column(values: ValueColumn) -> ValueColumn:
        if set(map(type, values)) <= plain and "" not in values:
            return values
        return [None if value == "" else one(convert, value, why) for value in values]

    return column


def one(convert: Convert, value: Any, why: str, type_why: str | None = None) -> Any:
    """Convert a value, or give Unreadable with the reason ``why``, or ``type_why`` if the type is wrong."""
    if value is None or type(value) is Unreadable:
        return value
    try:
        return convert(value)
    except UnknownWordError as error:
        return Unreadable(Why.UNKNOWN_WORD, str(error))
    except TypeError as error:
        return Unreadable(type_why or why, str(error))
    except (ValueError, OverflowError) as error:
        return Unreadable(why, str(error))


NONE = type(None)
_TEXTS: frozenset[type] = frozenset((str, NONE))


def texts() -> ConvertColumn:
    """Convert to texts: whole numbers become texts."""
    return column_converter(text_of, Why.WRONG_TYPE, _TEXTS)


def times(layout: str) -> ConvertColumn:
    """Convert times in a layout to epoch milliseconds."""
    convert = column_converter(time_of(layout), Why.BAD_TIME, frozenset((NONE,)))
    if layout in UNITS:
        multiply, divide = UNITS[layout]
        return lambda values: _numbers(values, multiply, divide) or convert(values)
    if layout == "iso":
        return lambda values: iso_times(values) or convert(values)
    return convert


def _numbers(values: ValueColumn, multiply: int, divide: int) -> ValueColumn | None:
    """Convert a column of numbers of one type to whole milliseconds; None if one of them is not in range."""
    kinds = set(map(type, values))
    if kinds == {str}:
        values = _read(values, exact=divide > 1)
        kinds = set(map(type, values))
    try:
        if kinds == {int}:
            made = np.array(values, np.int64)
            if made.min() < 0 or made.max() > MAX_TS_MS * divide // multiply:
                return None
            return list((made * multiply // divide).tolist())
        if kinds == {float}:
            with np.errstate(over="ignore"):  # infinity is out of range, as any number that is too large
                exact = np.rint(np.array(values) * multiply / divide)
            if not (exact.min() >= 0 and exact.max() <= MAX_TS_MS):  # false for nan
                return None
            return list(exact.astype(np.int64).tolist())
    except OverflowError:
        return None
    return None


MAX_DIGITS = 18
"""Every whole number of so many digits is below 2^63."""


def _read(texts: ValueColumn, *, exact: bool) -> ValueColumn:
    """Parse a column of plain decimals; if one text is none, give the texts. ``exact``: whole numbers only.

    >>> _read(["17", "3"], exact=True), _read(["17.5", "3"], exact=False), _read(["1e3", "3"], exact=False)
    ([17, 3], [17.5, 3.0], ['1e3', '3'])
    """
    joined = "".join(texts)
    if not joined.isascii() or "" in texts or max(map(len, texts)) > MAX_DIGITS:
        return texts
    if joined.isdigit():
        return list(map(int, texts))
    if exact or not joined.replace(".", "").isdigit():
        return texts
    try:
        return list(map(float, texts))
    except ValueError:  # two points in one text, or only a point
        return texts


def durations(unit: str) -> ConvertColumn:
    """Convert durations to whole milliseconds, which are not negative."""
    factor = 1000 if unit == "s" else 1

    def duration(value: Any) -> int:
        ms = round(number_of(value, "a duration") * factor)
        if not 0 <= ms <= MAX_TS_MS:
            raise ValueError(f"{value!r} {unit} is no duration")
        return ms

    convert = column_converter(duration, BAD_VALUE, frozenset((NONE,)))
    return lambda values: _numbers(values, factor, 1) or convert(values)


def booleans() -> ConvertColumn:
    """Convert to booleans: from 0 and 1, and from the words in YES and NO. Any other word is unreadable."""
    return column_converter(_boolean, Why.UNKNOWN_WORD, frozenset((NONE, bool)))


def words(table: dict[str, Any]) -> ConvertColumn:
    """Convert words by a table. Numbers and booleans are looked up as JSON writes them."""

    def word(value: Any) -> Any:
        text = word_of(value)
        if text not in table:
            raise UnknownWordError(f"{short(text)} is none of the words {', '.join(table)}")
        return table[text]

    convert = column_converter(word, Why.WRONG_TYPE, frozenset((NONE,)))
    known: dict[Any, Any] = {None: None, "": None, **table}

    def column(values: ValueColumn) -> ValueColumn:
        try:
            return list(map(known.__getitem__, values))
        except (KeyError, TypeError):
            return convert(values)

    return column


def metrics() -> ConvertColumn:
    """Check names of metrics."""
    known = frozenset((*METRICS, None))

    def metric(value: Any) -> str:
        if value not in METRICS:
            raise UnknownWordError(f"Invalid enum value {short(str(value))}")
        return str(value)

    convert = column_converter(metric, Why.UNKNOWN_METRIC, frozenset((NONE,)))

    def column(values: ValueColumn) -> ValueColumn:
        try:
            return values if known.issuperset(values) else convert(values)
        except TypeError:
            return convert(values)

    return column


def text_of(value: Any) -> str:
    """Convert a text or a whole number to text. Raises TypeError.

    >>> text_of(77), text_of(77.0), text_of("a")
    ('77', '77', 'a')
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT_FLOAT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"Expected `str` or `int`, got `{kind_of(value)}`")
    return str(value)


def word_of(value: Any) -> str:
    """Convert a value to a word of a table or a condition. Raises TypeError.

    >>> word_of(True), word_of(206), word_of("LIKE")
    ('true', '206', 'LIKE')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not value.is_integer():
        return repr(value)
    return text_of(value)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = word_of(value).strip().lower()
    if word in YES:
        return True
    if word in NO:
        return False
    raise UnknownWordError(f"{short(word)} is neither yes nor no; list their words with words = {{…}}")
