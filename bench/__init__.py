"""Measures what a person waits for, and what a client of the cluster notices of it."""
