"""The HTTP contract: routes, and the plumbing they share."""
