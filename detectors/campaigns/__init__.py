"""Actors that act together on target after target."""
