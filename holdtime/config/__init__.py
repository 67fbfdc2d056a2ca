"""Configuration: the environment and `holdtime.toml`."""
