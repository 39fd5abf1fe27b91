"""`ktjob serve` as its clients see it."""
