"""The one kind of failure that the lab reports."""


class LabError(Exception):
    """A sentence for the person at the keyboard: what is wrong, where, and what to do."""
