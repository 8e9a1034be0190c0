"""Watch the inbox, and say which of its files are settled."""

from worker.inbox.candidates import Writer
from worker.inbox.inbox import Inbox, SettledFile

__all__ = ["Inbox", "SettledFile", "Writer"]
