"""Jobs as a file, for people (Markdown, HTML, CSV) and for another machine (JSON, JSON Lines), and
jobs of such a file as ended jobs in this machine's store. Knows nothing of commands and servers."""
