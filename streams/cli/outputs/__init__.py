"""Commands that read the output topics: flags, explain, counts."""
