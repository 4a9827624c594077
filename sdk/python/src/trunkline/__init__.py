"""Trunkline for Python.

Parts:

* :mod:`trunkline.stdiobus`: workers behind the ``stdio_bus`` router, with the names of the PyPI package
  ``stdiobus``. It needs nothing but the standard library.

Nothing is imported from here, so that a program pays only for the part it uses.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
