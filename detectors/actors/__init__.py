"""Rulings on single actors."""
