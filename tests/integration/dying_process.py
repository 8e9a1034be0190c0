"""A child process that dies of every job, unless it is a retried one."""

import os
import sys
from multiprocessing.connection import Connection

from worker.pool.protocol import Delayed, Ready

if __name__ == "__main__":
    with Connection(int(sys.argv[1])) as connection:
        connection.recv()
        connection.send(Ready())
        (job,) = connection.recv()
        if not job.is_retried:
            os._exit(1)
        connection.send(Delayed(job.key, "retried"))
        connection.recv()
