"""Setting single weights to zero, and repairing what that does to a network."""
