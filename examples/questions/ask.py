"""Ask every line of a file about a book: `python ask.py BOOK QUESTIONS`."""

import sys
from pathlib import Path

from ktclient import submit_questions

book, questions = Path(sys.argv[1]), Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
jobs = submit_questions(book, questions, max_tokens=300)
for question, job in zip(questions, jobs, strict=True):
    print(f"{question}\n\n{job.result()}\n")
