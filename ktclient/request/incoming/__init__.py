"""What arrives as the answer to a long request: its bytes become the chunks that openai's library
reads, however a server or gateway packs them. Knows no HTTP and no job."""
