"""Scripts that the server's interpreter runs for the doctor. They import nothing of this project,
which is not installed there, and print JSON."""
