"""The quality gate: no scenario may fall behind its recorded figures."""
