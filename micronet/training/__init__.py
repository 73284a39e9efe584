"""Making networks better at their task."""
