"""Recipes of pipelines: data, as TOML."""
