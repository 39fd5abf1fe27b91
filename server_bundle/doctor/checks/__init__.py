"""What the doctor judges: one module per thing, each with a `check`."""
