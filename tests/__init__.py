"""The tests mirror the packages.

contract/ runs over every detector, integration/ on real brokers, faults/ kills things.
"""
