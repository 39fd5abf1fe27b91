"""`ktserver plan --compare`: a typed command beside the plan, and what is printed of it."""
