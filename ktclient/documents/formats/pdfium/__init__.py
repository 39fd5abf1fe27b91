"""What a PDF's page holds besides its plain text, by PDFium's own functions.

Owns form fields, annotations and characters that are raised or lowered. It does not know the
document around the page.
"""
