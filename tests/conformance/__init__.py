"""The same client-level scenarios against every server that the client knows."""
