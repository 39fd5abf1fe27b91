"""What servers mean by the words of a refusal: too long, no such model. Only words, no status; the
reaction is decided in `status_errors`."""
