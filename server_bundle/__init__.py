"""Starting, supervising and stopping inference servers: sglang-kt and sglang from a profile, and
the embedded server (a small real model on llama.cpp, for machines without a GPU and for tests).

This package knows models, processes and logs. It knows nothing of the job store.
"""
