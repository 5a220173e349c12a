"""Benchmarks against the usual alternatives, in one run: `make bench`."""
