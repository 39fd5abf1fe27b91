"""One forked process per running job: claims it, performs it, records how it ended."""
