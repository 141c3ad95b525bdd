"""Can this machine be a member? Looks with the eyes of what will run, and changes nothing."""
