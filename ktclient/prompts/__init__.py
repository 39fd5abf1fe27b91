"""What is asked about a document, as messages: tasks, templates, generation settings, schemas.

It does not know servers, and it sends nothing.
"""
