"""A module for each command, named like it; one is imported when it is called."""
