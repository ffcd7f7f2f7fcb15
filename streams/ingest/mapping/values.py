"""Values of other people's documents into values of native events, a column at a time.

A column is a list with one value a row; None is "not given". What cannot be read stands in it as ``Unreadable``, which
says why. Columns in which all values are what they should be, as nearly all are, are not looked at value by value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from detectors.events.event import MAX_TS_MS, METRICS
from streams.deadletters import BAD_VALUE, Why
from streams.grammar.times import UNITS, iso_times, kind_of, number_of, short, time_of

Column = list[Any]
Convert = Callable[[Any], Any]
"""One value that is given; raises ValueError, TypeError or OverflowError with a sentence."""
ConvertColumn = Callable[[Column], Column]

YES = frozenset(("true", "t", "yes", "y", "on", "1"))
NO = frozenset(("false", "f", "no", "n", "off", "0"))

EXACT_FLOAT = 1 << 53
"""Whole numbers below it are the same as a float; above, an id that was written as a float is another id."""


class Unreadable(NamedTuple):
    """A value that cannot be read: why (of Why or UNREAD), and a sentence."""

    why: str
    message: str


class UnknownWordError(ValueError):
    """A word that is not among those that are listed."""


def columns_of(convert: Convert, why: str, plain: frozenset[type]) -> ConvertColumn:
    """A function over columns. Values of the types ``plain`` need no conversion; empty text is "not given"."""

    def column(values: Column) -> Column:
        if set(map(type, values)) <= plain and "" not in values:
            return values
        return [None if value == "" else one(convert, value, why) for value in values]

    return column


def one(convert: Convert, value: Any, why: str, type_why: str | None = None) -> Any:
    """A value converted, or Unreadable for ``why``; for ``type_why``, if given, where it is of a wrong type."""
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
    """Texts, and whole numbers as texts."""
    return columns_of(text_of, Why.WRONG_TYPE, _TEXTS)


def times(layout: str) -> ConvertColumn:
    """Epoch milliseconds from times in a layout."""
    convert = columns_of(time_of(layout), Why.BAD_TIME, frozenset((NONE,)))
    if layout in UNITS:
        multiply, divide = UNITS[layout]
        return lambda values: _numbers(values, multiply, divide) or convert(values)
    if layout == "iso":
        return lambda values: iso_times(values) or convert(values)
    return convert


def _numbers(values: Column, multiply: int, divide: int) -> Column | None:
    """Whole milliseconds from a column in which all are numbers of one type, in their range; else None."""
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
            with np.errstate(over="ignore"):  # infinity is out of range like any other number that is too large
                exact = np.rint(np.array(values) * multiply / divide)
            if not (exact.min() >= 0 and exact.max() <= MAX_TS_MS):  # nan is neither
                return None
            return list(exact.astype(np.int64).tolist())
    except OverflowError:
        return None
    return None


MAX_DIGITS = 18
"""Of a whole number below 2^63."""


def _read(texts: Column, *, exact: bool) -> Column:
    """The numbers of a column in which all texts are plain decimals; else the texts. ``exact``: whole numbers alone.

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
    except ValueError:  # two points in one, or nothing else
        return texts


def durations(unit: str) -> ConvertColumn:
    """Whole milliseconds, from 0 on."""
    factor = 1000 if unit == "s" else 1

    def duration(value: Any) -> int:
        ms = round(number_of(value, "a duration") * factor)
        if not 0 <= ms <= MAX_TS_MS:
            raise ValueError(f"{value!r} {unit} is no duration")
        return ms

    convert = columns_of(duration, BAD_VALUE, frozenset((NONE,)))
    return lambda values: _numbers(values, factor, 1) or convert(values)


def booleans() -> ConvertColumn:
    """Yes or no: booleans, 0 and 1, and the words for them. Any other word is none."""
    return columns_of(_boolean, Why.UNKNOWN_WORD, frozenset((NONE, bool)))


def words(table: dict[str, Any]) -> ConvertColumn:
    """What a table says of each word. The words of numbers and booleans are those of JSON."""

    def word(value: Any) -> Any:
        text = word_of(value)
        if text not in table:
            raise UnknownWordError(f"{short(text)} is none of the words {', '.join(table)}")
        return table[text]

    convert = columns_of(word, Why.WRONG_TYPE, frozenset((NONE,)))
    known: dict[Any, Any] = {None: None, "": None, **table}

    def column(values: Column) -> Column:
        try:
            return list(map(known.__getitem__, values))
        except (KeyError, TypeError):
            return convert(values)

    return column


def metrics() -> ConvertColumn:
    """The names of metrics."""
    known = frozenset((*METRICS, None))

    def metric(value: Any) -> str:
        if value not in METRICS:
            raise UnknownWordError(f"Invalid enum value {short(str(value))}")
        return str(value)

    convert = columns_of(metric, Why.UNKNOWN_METRIC, frozenset((NONE,)))

    def column(values: Column) -> Column:
        try:
            return values if known.issuperset(values) else convert(values)
        except TypeError:
            return convert(values)

    return column


def text_of(value: Any) -> str:
    """A text, or a whole number as one. Raises TypeError.

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
    """A value as a word of a table or a condition. Raises TypeError.

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
