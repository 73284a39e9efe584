"""Changes to a graph. Each pass takes a graph and returns a new one; each is checked by a law."""
