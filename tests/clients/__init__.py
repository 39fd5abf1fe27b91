"""Clients that nobody here wrote, as their users call them, against `ktjob serve`."""
