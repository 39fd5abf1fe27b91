"""Formulas, superscripts and subscripts as characters on a line.

Owns how they are written, and the reading of MathML and of Word's equations. It does not know
which document they come from.
"""
