"""What the runner's workers perform: a request, its retries, its abort, its report to the store.

Never imports `ktclient.api`: both meet in `submission.spec` and the store.
"""
