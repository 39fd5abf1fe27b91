"""One server as processes: started, followed, supervised, restarted, stopped."""
