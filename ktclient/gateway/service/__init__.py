"""The process of `ktjob serve`: its address, its lock, start, status and stop."""
