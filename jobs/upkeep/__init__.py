"""Keeping the state directory small: what is deleted, and logs that stay short."""
