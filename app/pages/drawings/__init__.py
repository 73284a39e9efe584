"""Drawings as SVG: geometry is worked out here, templates write it down. Each has its data in a table beside it."""
