"""Counting, compressing and scoring efficient networks: the library, which knows no web framework and no queue."""
