"""Settings: read from TOML and the environment, and checked before anything runs."""
