"""Who is notified when a job ends: channels of the configuration file, or a command."""
