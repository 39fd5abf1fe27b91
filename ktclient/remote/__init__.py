"""A command on another machine, over the user's own ssh: frames, retries, and nothing doubled."""
