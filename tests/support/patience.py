"""How long a test waits for an event before it calls that a hang.

One number for all of them, far beyond what a loaded machine takes: it keeps a run from standing
still for ever and says nothing about speed. pytest-timeout's bound (pyproject.toml) lies above it
and guards what waits without a bound of its own, such as `subprocess.run` and `Job.result`.
"""

HANG_SECONDS = 600.0
