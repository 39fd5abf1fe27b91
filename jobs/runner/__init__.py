"""The loop that starts workers. One per state directory, held by a lock; run detached."""
