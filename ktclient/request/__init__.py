"""One long HTTP request: connection, body, stream of events, and errors as leaves of our tree.

The one room that makes HTTP clients. It does not know jobs or the store.
"""
