"""Decisions: pure functions of what was observed. Nothing here looks, waits or changes anything."""
