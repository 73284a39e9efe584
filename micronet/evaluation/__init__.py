"""Running a graph over a data set: fast, deterministic, and exact where asked."""
