"""What is known before a request is sent, and during its prefill: tokens, fit, time, progress.

It stores no job and sends no long request.
"""
