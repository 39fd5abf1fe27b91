"""/v1/chat/completions: plain, streamed, and stored ones."""
