"""Deterministic ids of flags, explained surges, rule bursts and corrections."""

from __future__ import annotations

import hashlib


def flag_id(target: str, metric: str, detectors: str, onset_ms: int, number: int = 0) -> str:
    """Deterministic id of an incident. It never depends on clock, worker or score.

    ``number`` is the number of earlier incidents of the target and metric with the same onset.
    """
    again = (str(number),) if number else ()
    return _digest("flag", target, metric, detectors, str(onset_ms), *again)


def explained_id(target: str, metric: str, detectors: str, onset_ms: int) -> str:
    """As ``flag_id``, for an explained surge."""
    return _digest("explained", target, metric, detectors, str(onset_ms))


def rule_burst_id(target: str, metric: str, onset_ms: int) -> str:
    """As ``flag_id``, for a rule burst. It does not depend on the detectors."""
    return _digest("rule", target, metric, str(onset_ms))


def correction_id(flag: str, number: int) -> str:
    """Deterministic id of a case's n-th correction."""
    return _digest("correction", flag, str(number))


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
