"""A server's own Python: lock files, what an installation needs of a machine, the installation."""
