"""`ktjob --host`: a command that runs on another machine, and both its ends."""
