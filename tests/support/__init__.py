"""Shared test code: builders of studies, processes to drive, servers, documents to read."""
