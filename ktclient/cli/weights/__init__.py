"""What `ktserver fetch` says of a fetch, and the fetches that run without it."""
