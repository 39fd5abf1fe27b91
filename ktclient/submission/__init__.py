"""A request becomes a job: spec, conditions, idempotency key, lent keys, one transaction.

It does not know who calls it (command line or Python), nor how a job is performed.
"""
