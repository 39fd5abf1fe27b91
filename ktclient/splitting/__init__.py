"""A text that is longer than one request may be, in parts. Pure.

Owns where to cut, the prompt for each part, and which answers are combined.
"""
