"""The system calls that decoding needs, and the seccomp filter that refuses all others.

The filter is a program of classic BPF over struct seccomp_data (seccomp(2)). What it refuses fails with
EPERM.
"""

import errno
import signal
import struct
from dataclasses import dataclass

_AUDIT_ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_X86_64 and AUDIT_ARCH_AARCH64 (linux/audit.h)."""

_POINTER_BYTES = 8
"""Of programs for these; others have calls of their own."""

_X32_BIT = 0x40000000
"""Calls of the x32 ABI have the architecture of x86-64 and this bit (asm/unistd.h)."""

_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "readv": (19, 65),
    "pread64": (17, 67),
    "write": (1, 64),
    "writev": (20, 66),
    "lseek": (8, 62),
    "close": (3, 57),
    "fstat": (5, 80),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "recvfrom": (45, 207),
    "recvmsg": (47, 212),
    "sendto": (44, 206),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "brk": (12, 214),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "futex_waitv": (449, 449),
    "membarrier": (324, 283),
    "rseq": (334, 293),
    "set_robust_list": (273, 99),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "setitimer": (38, 103),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
"""Numbers on x86-64 (asm/unistd_64.h) and on aarch64 (asm-generic/unistd.h).

None of these opens, creates or connects anything, or reaches another process: they read and write what is
open, and manage memory, threads, time and the process itself.
"""

_CLONE = (56, 220)
_CLONE3 = (435, 435)
_MMAP = (9, 222)
_MPROTECT = (10, 226)
_TGKILL = (234, 131)

_CLONE_THREAD = 0x10000
_PROT_EXEC = 4
_MAP_SHARED = 1
_MAP_GROWSDOWN = 0x100
"""From linux/sched.h, asm-generic/mman-common.h and asm-generic/mman.h.

MAP_SHARED is also a bit of MAP_SHARED_VALIDATE, and not of MAP_PRIVATE. RLIMIT_DATA counts neither memory
that is shared nor what grows like a stack.
"""

_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_UNKNOWN = 0x00050000 | errno.ENOSYS
_KILL = 0x80000000
"""SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO and SECCOMP_RET_KILL_PROCESS (linux/seccomp.h)."""

_LOAD = 0x20
_RETURN = 0x06
_IF_EQUAL = 0x15
_IF_AT_LEAST = 0x35
_IF_ANY_BIT = 0x45
"""BPF_LD | BPF_W | BPF_ABS, BPF_RET | BPF_K, and BPF_JMP | BPF_K with BPF_JEQ, BPF_JGE and BPF_JSET.

From linux/bpf_common.h.
"""

_NUMBER_OFFSET = 0
_ARCH_OFFSET = 4
_ARGUMENTS_OFFSET = 16
"""In struct seccomp_data (linux/seccomp.h)."""


@dataclass(frozen=True, slots=True)
class _Instruction:
    """struct sock_filter (linux/filter.h): jumps skip so many of the instructions that follow."""

    code: int
    value: int
    if_true: int = 0
    if_false: int = 0

    def pack(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.if_true, self.if_false, self.value)


def make_filter(machine: str, pid: int, pointer_bytes: int = struct.calcsize("P")) -> bytes:
    """Return the filter for a process of this id, as an array of struct sock_filter.

    Raises OSError where the machine's calls are not known, or those of a process with pointers of this size:
    a 32-bit one on a 64-bit kernel has others, and would be killed.
    """
    if machine not in _AUDIT_ARCHES or pointer_bytes != _POINTER_BYTES:
        raise OSError(
            errno.ENOSYS, f"the system calls of {8 * pointer_bytes}-bit programs on {machine} are not known"
        )
    column = list(_AUDIT_ARCHES).index(machine)
    program = [
        _Instruction(_LOAD, _ARCH_OFFSET),
        _Instruction(_IF_EQUAL, _AUDIT_ARCHES[machine], if_true=1),
        _Instruction(_RETURN, _KILL),
        _Instruction(_LOAD, _NUMBER_OFFSET),
        _Instruction(_IF_AT_LEAST, _X32_BIT, if_false=1),
        _Instruction(_RETURN, _REFUSE),
    ]
    for numbers in _CALLS.values():
        number = numbers[column]
        if number is not None:
            program += _decide(number, [_Instruction(_RETURN, _ALLOW)])
    # The C library then starts threads by `clone`, whose flags a filter can read.
    program += _decide(_CLONE3[column], [_Instruction(_RETURN, _UNKNOWN)])
    program += _decide(_CLONE[column], [*_refuse_unless_bit(0, _CLONE_THREAD), _Instruction(_RETURN, _ALLOW)])
    no_code = _refuse_if_any_bit(2, _PROT_EXEC)
    counted = _refuse_if_any_bit(3, _MAP_SHARED | _MAP_GROWSDOWN)
    program += _decide(_MMAP[column], [*no_code, *counted, _Instruction(_RETURN, _ALLOW)])
    program += _decide(_MPROTECT[column], [*no_code, _Instruction(_RETURN, _ALLOW)])
    program += _decide(_TGKILL[column], _allow_abort(pid))
    program.append(_Instruction(_RETURN, _REFUSE))
    return b"".join(instruction.pack() for instruction in program)


def _decide(number: int, decision: list[_Instruction]) -> list[_Instruction]:
    """Decide on one system call; the decision ends in every case."""
    return [_Instruction(_IF_EQUAL, number, if_false=len(decision)), *decision]


def _refuse_if_any_bit(argument: int, bits: int) -> list[_Instruction]:
    """Refuse the call where an argument has any of these bits, and go on where it has none."""
    return [
        _load_argument(argument),
        _Instruction(_IF_ANY_BIT, bits, if_false=1),
        _Instruction(_RETURN, _REFUSE),
    ]


def _refuse_unless_bit(argument: int, bit: int) -> list[_Instruction]:
    """Refuse the call where an argument lacks this bit, and go on where it has it."""
    return [
        _load_argument(argument),
        _Instruction(_IF_ANY_BIT, bit, if_true=1),
        _Instruction(_RETURN, _REFUSE),
    ]


def _allow_abort(pid: int) -> list[_Instruction]:
    """Allow abort(3), by which libraries end their own process, and no other signal."""
    return [
        _load_argument(0),
        _Instruction(_IF_EQUAL, pid, if_false=3),
        _load_argument(2),
        _Instruction(_IF_EQUAL, signal.SIGABRT, if_false=1),
        _Instruction(_RETURN, _ALLOW),
        _Instruction(_RETURN, _REFUSE),
    ]


def _load_argument(index: int) -> _Instruction:
    # The low half, since both machines are little-endian; none of these arguments needs more.
    return _Instruction(_LOAD, _ARGUMENTS_OFFSET + 8 * index)
