"""Processes of our own: leaving the terminal, proof of life, signals, causes of death."""
