"""What can be changed, a function for each form; all of it is done by the store and the engine."""
