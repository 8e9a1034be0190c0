"""Run untrusted decoding in child processes that may die without hurting the worker."""
