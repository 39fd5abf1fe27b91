"""The page: the queue and its jobs in a browser."""
