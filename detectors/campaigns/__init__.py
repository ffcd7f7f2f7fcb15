"""Detection of actors who act together on target after target."""
