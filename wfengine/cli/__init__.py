"""The command line ``wfengine``; what it is made of can be used without it."""
