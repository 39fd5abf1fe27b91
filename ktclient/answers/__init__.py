"""What of a model's output is thought, and what is the answer. Pure.

The stored output stays as it came; this is a view over it.
"""
