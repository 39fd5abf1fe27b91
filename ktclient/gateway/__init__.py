"""`ktjob serve`: OpenAI's HTTP interface and a page, over the job store. It owns no rule: what a
job is, whether it fits and when it runs, the rooms below decide. It imports neither openai nor any
worker, and nothing blocks its event loop: the store is read in threads.
"""
