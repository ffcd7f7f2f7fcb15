"""What is usual on the platform: mixes, known actors, seasons, rates."""
