"""The lowest score that keeps a floor: widths, zeros, rounding chosen layer by layer; then some training, if asked."""
