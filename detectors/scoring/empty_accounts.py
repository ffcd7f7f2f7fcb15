"""Whether most accounts of a crowd did nothing else, and that is not usual.

A crowd counts as bought if

* more than half of its accounts did nothing else. Of the people who register for one thing many never come back, but
  not most;
* that is beyond what an honest crowd of correlated people reaches (``tails.beta_binomial_tail``, p ≤ SETTLED_P). This
  test has the sampling error, so the first one needs no margin.

A case is settled by it (``cases.settlements``), and so are rulings on its accounts (``accounts.crowds.settlement``).
"""

from __future__ import annotations

from typing import NamedTuple

from detectors.scoring.tails import beta_binomial_tail

MOST = 0.5
"""Least share of the accounts that did nothing else."""

SETTLED_P = 0.01
"""Highest p-value of so many accounts that did nothing else."""

WAVE_CORRELATION = 0.05
"""ρ: assumed correlation of the people of one wave; of some waves fewer people come back than of others. Social
clusters have 0.01 … 0.1 (Kish 1965). 256 accounts count as nineteen."""

ACCOUNTS_MAX = 256
"""Accounts beyond which more add nothing: any number of people with this correlation counts as twenty at most."""

PRIOR_EMPTY, PRIOR_ACTED = 5.0, 5.0
"""Accounts that are added to those that are equally new: of the people who register for one thing half are assumed not
to come back, a third to two thirds within a standard error. It counts where hardly anybody else is new."""


class EmptyAccounts(NamedTuple):
    """The accounts of a crowd that did nothing else."""

    share: float
    """their share of the known accounts, 0 … 1"""
    usual: float
    """the same of accounts that are equally new"""
    p: float
    """chance of so large a share in an honest crowd"""

    @property
    def unusual(self) -> bool:
        """Whether the crowd counts as bought."""
        return self.share > MOST and self.p <= SETTLED_P

    @property
    def excess(self) -> float:
        """Part of them that is beyond what is usual, 0 … 1."""
        return max(0.0, (self.share - self.usual) / self.share) if self.share else 0.0


def empty_accounts(acted: int, empty: int, usual_acted: int, usual_empty: int) -> EmptyAccounts:
    """Compare the known accounts of a crowd with accounts that are equally new.

    >>> empty_accounts(28, 212, 78, 22).unusual, empty_accounts(90, 150, 78, 22).unusual
    (True, True)
    >>> empty_accounts(9, 18, 0, 0).unusual, empty_accounts(120, 120, 78, 22).unusual
    (False, False)
    >>> empty_accounts(1_000, 3_000, 78, 22).p == empty_accounts(64, 192, 78, 22).p
    True
    >>> empty_accounts(0, 0, 0, 0)
    EmptyAccounts(share=0.0, usual=0.5, p=1.0)
    """
    known, others = acted + empty, usual_acted + usual_empty + PRIOR_EMPTY + PRIOR_ACTED
    share, usual = empty / max(1, known), (usual_empty + PRIOR_EMPTY) / others
    doubt = 1.0 / (others + 1.0)  # of what is usual, as a correlation
    p = beta_binomial_tail(min(known, ACCOUNTS_MAX), share, usual, correlation=WAVE_CORRELATION + doubt)
    return EmptyAccounts(share, usual, p)
