"""A child process that dies of every job, unless it is a suspect."""

import os
import signal
import sys

from worker.pool.channel import ChildChannel
from worker.pool.jail import Jail
from worker.pool.messages import Opened, Ready, Unread, Work, decode_order, encode

if __name__ == "__main__":
    with ChildChannel(int(sys.argv[1])) as channel:
        channel.receive()
        channel.send(encode(Ready(Jail((), ()))))
        order = decode_order(channel.receive()[0])
        assert isinstance(order, Work)
        if not order.is_suspect:
            channel.send(encode(Opened(order.key, "0" * 64)))
            os.kill(os.getpid(), signal.SIGSEGV)
        channel.send(encode(Unread(order.key, 11)))
        channel.receive()
