"""/v1/batches: a file of requests as one job."""
