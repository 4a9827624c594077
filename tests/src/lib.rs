//! Scripted parts.
