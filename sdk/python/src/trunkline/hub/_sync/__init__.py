# Made from trunkline/hub/_async by unasync.py; change it there.
"""The client for programs without asyncio."""
