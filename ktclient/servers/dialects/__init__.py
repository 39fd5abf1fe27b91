"""One module per engine, with the same functions in each (`dialect.Dialect`).

A dialect knows what may be added to a request, how the engine counts prompt tokens, and how it
aborts a request.
"""
