"""What Word's and PowerPoint's readers leave out, put where they read it.

Owns the parts of an Office archive (equations, fields, charts, diagrams, merged cells, scripts) and
the paragraphs of RTF.
"""
