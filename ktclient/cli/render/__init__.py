"""What commands print: text, tables, progress, pages. It decides nothing."""
