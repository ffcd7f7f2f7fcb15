"""Quantiles of the normal distribution: standard errors that an interval is wide."""

TWO_SIDED_95 = 1.96
"""Standard errors to either side that hold 95 % of the values."""

ONE_SIDED_95 = 1.64
"""Standard errors under which 95 % of the values lie."""
