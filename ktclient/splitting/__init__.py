"""A text that is longer than one request may be, in parts. Pure.

Owns where to cut, what is said to the model about each part, and which answers are combined.
"""
