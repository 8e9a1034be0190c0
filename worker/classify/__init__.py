"""Judge photos in processes that may die without hurting the worker."""
