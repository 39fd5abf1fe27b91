"""Several servers: what each of them says now, and which of them gets a request."""
