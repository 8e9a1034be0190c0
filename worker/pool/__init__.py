"""Decode untrusted files in child processes, which may die without harm to the worker."""
