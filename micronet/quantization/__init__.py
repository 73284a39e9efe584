"""Networks on fixed-point grids: by rounding alone, or by learning there."""
