"""Data sets: the images a network is trained, calibrated and measured on, read without trusting their files."""
