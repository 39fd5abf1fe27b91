"""What a Python program calls. Its names are public through `ktclient` only.

Never imports `ktclient.worker`: both meet in `submission.spec` and the store.
"""
