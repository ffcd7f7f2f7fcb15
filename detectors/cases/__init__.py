"""The life of a case: flags, revisions, corrections, explanations."""
