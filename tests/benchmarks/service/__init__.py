"""Speed of the server against its bounds: `python -m tests.benchmarks.service [NAME...]`. No part of the tests."""
