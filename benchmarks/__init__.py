"""Figures side by side with what a user would use instead, in one run: `make bench`."""
