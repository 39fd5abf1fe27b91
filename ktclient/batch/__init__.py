"""OpenAI's Batch files: read, checked, queued as one job, and their results written."""
