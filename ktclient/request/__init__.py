"""One long HTTP request: connection, body, event stream, and errors as leaves of the error tree.

The one room that makes HTTP clients. It does not know jobs or the store.
"""
