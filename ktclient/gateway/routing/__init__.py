"""Which server a request goes to: by the name in its body, and what that server said lately."""
