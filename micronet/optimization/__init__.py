"""The lowest score that keeps a floor, without training: widths, zeros and rounding chosen layer by layer."""
