"""Settings: TOML and environment, checked before anything runs."""
