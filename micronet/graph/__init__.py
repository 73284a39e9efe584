"""The one representation: a graph of ATen operations with weights, and what reads, makes and runs it."""
