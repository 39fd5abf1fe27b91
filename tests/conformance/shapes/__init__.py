"""What servers send, and what ktjob makes of it: one table for each room of shapes."""
