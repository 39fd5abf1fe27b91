"""How requests and answers go over HTTP: limits, errors, event streams, long JSON answers."""
