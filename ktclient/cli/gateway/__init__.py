"""`ktjob serve`: start, look at and stop the gateway; its keys."""
