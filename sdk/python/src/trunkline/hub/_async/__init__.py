"""The client for programs with asyncio.

``trunkline/hub/_sync`` is made from this by ``unasync.py``: change it here.
"""
