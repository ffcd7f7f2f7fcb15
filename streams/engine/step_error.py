"""The exception of a record of the log that could not be audited. It has no imports: replays need no Faust for it."""


class StepError(Exception):
    """A record of the log could not be audited. The task starts again, and handles that record with fewer steps."""
