"""What a partition knows of its platform, and how it learns."""
