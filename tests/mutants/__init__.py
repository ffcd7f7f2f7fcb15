"""Single changes of the code, and whether the tests notice them: ``python -m tests.mutants`` (see CONTRIBUTING)."""
