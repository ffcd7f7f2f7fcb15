"""Quantiles of the normal distribution, in standard errors."""

TWO_SIDED_95 = 1.96
"""95 % of the values are within so many standard errors of the mean."""

ONE_SIDED_95 = 1.64
"""95 % of the values are less than so many standard errors above the mean."""
