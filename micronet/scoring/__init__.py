"""From counts to a score: the two policies and the formula."""
