"""Watch the inbox, and say which of its files are settled."""

from worker.inbox.inbox import Inbox, SettledFile

__all__ = ["Inbox", "SettledFile"]
