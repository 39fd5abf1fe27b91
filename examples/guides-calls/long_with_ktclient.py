"""The guide's long request, handed over: this script may end, or be killed, at any moment."""

from pathlib import Path

from ktclient import submit_long

job = submit_long(
    Path("very_long_document.txt"),
    summarize=True,
    server="http://localhost:40001",
    model="DeepSeek-V4-Flash",
    max_tokens=1024,
    temperature=0.7,
)
print(job.id)

# Here, or in another program, or tomorrow: Job("…") from ktclient finds it by its id.
print(job.result())
