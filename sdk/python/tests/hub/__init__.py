"""Tests of the hub: the client, against the real daemon."""
