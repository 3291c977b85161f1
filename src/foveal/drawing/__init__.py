"""Figures as people read them: words, charts, pictures, and HTML that is safe."""
