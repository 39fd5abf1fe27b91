"""What a plan knows of GPUs and of the model on them: read here, or named by options."""
