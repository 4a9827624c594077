"""Tests of ``trunkline.bus``."""
