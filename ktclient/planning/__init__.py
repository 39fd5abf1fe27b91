"""What can be said before a request is sent, and while it is read: tokens, fit, time, progress.

It stores no job and sends no long request.
"""
