"""Large files, fetched so that no byte comes twice: resumed, checked, with a record of progress."""
