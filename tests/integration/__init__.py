"""Tests on real brokers: each takes the fixture `broker` (both), `kafka` or `tansu` of tests/conftest.py."""
