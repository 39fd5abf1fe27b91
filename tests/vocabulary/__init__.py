"""Making the vocabulary that comes with the product."""
