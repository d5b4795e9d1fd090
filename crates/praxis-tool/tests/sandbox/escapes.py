# What code in the sandbox may try to get out, to look out, or to use up the machine. Each part begins with a line
# `#: NAME` or `#: NAME: END`, and is run in a sandbox of its own behind the part `prelude`. It prints ESCAPED where it
# got what it must not have, and CONTAINED at its end. Where END is named, it does not get there: that is the error with
# which the call ends.

#: prelude
import ctypes, errno, os, platform, signal, socket, stat, subprocess, sys, threading, time

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
CALLS = {  # x86-64, AArch64
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "capset": (126, 91), "chroot": (161, 51),
    "clock_settime": (227, 112), "clone3": (435, 435), "fanotify_init": (300, 262), "finit_module": (313, 273),
    "fsopen": (430, 430), "init_module": (175, 105), "io_setup": (206, 0), "io_uring_setup": (425, 425),
    "kcmp": (312, 272), "kexec_load": (246, 104), "keyctl": (250, 219), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "mq_open": (240, 180), "msgget": (68, 186), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "open_tree": (428, 428), "perf_event_open": (298, 241), "personality": (135, 92), "pidfd_getfd": (438, 438),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pivot_root": (155, 41), "prctl": (157, 167),
    "process_madvise": (440, 440), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "ptrace": (101, 117), "quotactl": (179, 60), "reboot": (169, 142), "request_key": (249, 218),
    "rt_sigqueueinfo": (129, 138), "seccomp": (317, 277), "semget": (64, 190), "sethostname": (170, 161),
    "setns": (308, 268), "setresuid": (117, 147), "shmget": (29, 194), "socket": (41, 198), "splice": (275, 76),
    "swapon": (167, 224), "syslog": (103, 116), "tee": (276, 77), "umount2": (166, 39), "unshare": (272, 97),
    "userfaultfd": (323, 282), "vmsplice": (278, 75),
}


def call(name, *arguments):
    number = CALLS[name][ARM]
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    if result == -1:
        raise OSError(ctypes.get_errno(), name)
    return result


def refused(what, action):
    try:
        got = action()
    except (OSError, MemoryError, RuntimeError) as error:
        return error
    print("ESCAPED", what, repr(got)[:200])

#: system calls that lead out
for name in CALLS:
    if name == "io_setup" and ARM:
        continue
    error = refused(name, lambda: call(name, 0, 0, 0, 0, 0))
    if error is not None and error.errno not in (errno.EPERM, errno.ENOSYS):
        print("ESCAPED", name, "reached the kernel:", error)
print("CONTAINED")

#: sockets of each family
for family in range(0, 46):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        refused((family, kind), lambda: call("socket", family, kind, 0))
print("CONTAINED")

#: names of hosts
refused("getaddrinfo", lambda: socket.getaddrinfo("example.com", 80))
refused("gethostbyname", lambda: socket.gethostbyname("localhost"))
print("CONTAINED")

#: a request
import urllib.request
refused("urlopen", lambda: urllib.request.urlopen("http://127.0.0.1/", timeout=1))
print("CONTAINED")

#: a connection over a pair of sockets
one, other = socket.socketpair()
refused("connect", lambda: one.connect("/run/docker.sock"))
refused("bind", lambda: one.bind("\0praxis"))
refused("pair of IPv4", lambda: socket.socketpair(socket.AF_INET, socket.SOCK_STREAM))
one.send(b"x")
assert other.recv(1) == b"x"
print("CONTAINED")

#: processes of others in /proc
for path in ("/proc", "/proc/1/cmdline", "/proc/1/environ", "/proc/1/root", "/proc/1/mem", "/proc/self/maps",
             "/proc/self/environ", "/proc/self/fd", "/proc/sys/kernel/core_pattern", "/proc/kcore", "/proc/kallsyms"):
    refused(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(64))
for pid in (os.getppid(), 1):
    refused(("maps", pid), lambda: open("/proc/%d/maps" % pid).read())
    refused(("link", pid), lambda: os.readlink("/proc/%d/exe" % pid))
print("CONTAINED")

#: the kernel in /sys
for path in ("/sys", "/sys/kernel", "/sys/fs/cgroup", "/sys/fs/cgroup/cgroup.procs", "/sys/class/net"):
    refused(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(64))
print("CONTAINED")

#: devices
for name in ("mem", "kmem", "port", "sda", "vda", "nvme0n1", "kvm", "fuse", "tty", "console", "ptmx", "kmsg",
             "net/tun", "loop-control", "mapper/control", "vhost-net", "userfaultfd", "dri/card0", "nvidia0"):
    refused(name, lambda: open("/dev/" + name, "rb"))
refused("the folder", lambda: os.listdir("/dev"))
for mode in (stat.S_IFBLK, stat.S_IFCHR):
    for folder in (os.getcwd(), os.environ["TMPDIR"]):
        refused("a device of its own", lambda: os.mknod(os.path.join(folder, "d"), 0o666 | mode, os.makedev(1, 1)))
assert len(open("/dev/urandom", "rb").read(16)) == 16
open("/dev/null", "w").write("x")
print("CONTAINED")

#: files of the machine
for path in ("/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/etc/machine-id",
             "/root", "/home", "/root" + "/.ssh", "/root" + "/.bashrc", "/var", "/var/log", "/run", "/run/docker.sock", "/boot",
             "/opt", "/srv", "/usr/bin", "/usr/sbin", "/bin/sh", "/usr/share/doc", "/var/run/secrets", "/mnt", "/"):
    refused(path, lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(64))
print("CONTAINED")

#: files of the application
for folder in (APPLICATION, os.path.join(APPLICATION, ".praxis"), os.path.join(APPLICATION, "tools"), STATE):
    refused(folder, lambda: os.listdir(folder))
for path in (os.path.join(APPLICATION, "praxis.toml"), os.path.join(APPLICATION, ".env"),
             os.path.join(STATE, "secret"), "../praxis.toml", "../../praxis.toml"):
    refused(path, lambda: open(path).read())
    refused(path, lambda: open(path, "a"))
print("CONTAINED")

#: the environment of the server
for name, value in os.environ.items():
    if "SECRET" in name or SECRET in value:
        print("ESCAPED", name)
if SECRET in repr(sys.argv) or SECRET in repr(sys.flags):
    print("ESCAPED in the arguments")
print("CONTAINED")

#: descriptors that are open
for descriptor in range(0, 1024):
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:
        continue
    if descriptor > 2 and not stat.S_ISSOCK(kind):
        print("ESCAPED", descriptor, oct(kind))
assert os.read(0, 1) == b""
print("CONTAINED")

#: writing where it may only read
for path in (sys.executable, os.path.dirname(os.__file__), "/usr/lib", "/lib", "/", "/dev", "/etc"):
    if os.path.isdir(path):
        refused(path, lambda: open(os.path.join(path, "praxis-test"), "w"))
        refused(path, lambda: os.mkdir(os.path.join(path, "praxis-test-folder")))
        refused(path, lambda: os.rename(path, path + "-moved"))
    else:
        refused(path, lambda: open(path, "r+b"))
        refused(path, lambda: os.truncate(path, 0))
        refused(path, lambda: os.unlink(path))
print("CONTAINED")

#: what files are, and not what is in them
before = os.stat(os.__file__)
for change in (lambda: os.chmod(os.__file__, 0o777), lambda: os.utime(os.__file__, (0, 0)),
               lambda: os.chown(os.__file__, os.getuid(), os.getgid()),
               lambda: os.setxattr(os.__file__, "user.praxis", b"x")):
    try:
        change()
    except OSError:
        pass
after = os.stat(os.__file__)
if (before.st_mode, before.st_mtime, before.st_uid) != (after.st_mode, after.st_mtime, after.st_uid):
    print("ESCAPED")
print("CONTAINED")

#: links out of the scratch folder
for number, target in enumerate(("/etc/passwd", "/etc/shadow", "/proc/1/environ", "/root", APPLICATION, "../../..")):
    link = "link-%d" % number
    os.symlink(target, link)
    refused(target, lambda: os.listdir(link) if os.path.isdir(link) else open(link, "rb").read(64))
for target in ("/etc/passwd", "/etc/hostname", sys.executable):
    refused(target, lambda: os.link(target, "hard"))
print("CONTAINED")

#: links as files to be given back
os.symlink("/etc/passwd", "passwd.txt")
os.symlink(sys.executable, "python.bin")
os.mkfifo("pipe.txt") if hasattr(os, "mkfifo") and not refused("a pipe", lambda: os.mkfifo("pipe.txt")) else None
print("CONTAINED")

#: a root folder of its own
for name in ("chroot", "pivot_root"):
    refused(name, lambda: call(name, b".", b"."))
refused("chroot", lambda: os.chroot("."))
print("CONTAINED")

#: mounts
os.mkdir("m")
for source, kind, flags in ((b"/", b"", 4096), (b"proc", b"proc", 0), (b"sysfs", b"sysfs", 0), (b"tmpfs", b"tmpfs", 0),
                            (b"overlay", b"overlay", 0), (b"/dev/vda", b"ext4", 0)):
    refused(kind, lambda: call("mount", source, b"m", kind, flags, None))
refused("remount", lambda: call("mount", None, b"/", None, 4096 | 32, None))
for path in (b"/usr/lib", b"/", b"/mnt/data", b"/tmp"):
    refused(path, lambda: call("umount2", path, 2))
print("CONTAINED")

#: namespaces
for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80):
    refused(hex(flag), lambda: call("unshare", flag))
    if (got := libc.syscall(220 if ARM else 56, flag | signal.SIGCHLD, 0, 0, 0, 0)) != -1:
        if got == 0:
            os._exit(0)
        print("ESCAPED clone", hex(flag))
for descriptor in range(3, 16):
    refused("setns", lambda: call("setns", descriptor, 0))
print("CONTAINED")

#: capabilities
import struct
header, sets = ctypes.create_string_buffer(struct.pack("Ii", 0x20080522, 0)), ctypes.create_string_buffer(24)
number = 90 if ARM else 125
assert libc.syscall(number, header, sets) == 0
if any(sets.raw):
    print("ESCAPED", sets.raw)
for capability in range(41):
    if libc.prctl(23, capability, 0, 0, 0) == 1:
        print("BOUND", capability)
if libc.prctl(39, 0, 0, 0, 0) != 1:
    print("ESCAPED: it may get privileges")
for change in (os.setuid, os.setgid, os.seteuid):
    refused(change.__name__, lambda: change(0))
refused("setgroups", lambda: os.setgroups([0]))
if 0 in (os.getuid(), os.geteuid(), os.getgid()) or os.getgroups() not in ([], [os.getgid()]):
    print("GROUPS", os.getuid(), os.getgroups())
print("CONTAINED")

#: programs that run as root
for path in ("/bin/su", "/usr/bin/su", "/usr/bin/sudo", "/usr/bin/mount", "/usr/bin/passwd", "/bin/sh", "/usr/bin/env"):
    refused(path, lambda: os.execv(path, [path]))
    refused(path, lambda: subprocess.run([path, "-c", "id"], capture_output=True))
refused("a shell", lambda: os.posix_spawn("/bin/sh", ["sh"], {}))
print("CONTAINED")

#: a program of its own
source = open(sys.executable, "rb").read(1 << 20)
for folder in (os.getcwd(), os.environ["TMPDIR"]):
    path = os.path.join(folder, "own")
    open(path, "wb").write(source)
    os.chmod(path, 0o4755)
    refused(path, lambda: os.execv(path, [path, "-V"]))
    refused(path, lambda: ctypes.CDLL(path))
print("CONTAINED")

#: an environment of its own: Exited
open("own.so", "wb").write(b"\x7fELF")
own = os.path.join(os.getcwd(), "own.so")
tricks = {"LD_PRELOAD": own, "LD_LIBRARY_PATH": os.getcwd(), "LC_ALL": "../../etc/passwd", "PYTHONIOENCODING": "latin-1",
          "GCONV_PATH": os.getcwd(), "LOCPATH": os.getcwd(), "PYTHONPATH": "/", "PYTHONSTARTUP": "/etc/passwd"}
again = "import socket\ntry:\n  socket.socket()\n  print('ESCAPED')\nexcept OSError:\n  print('CONTAINED')"
os.execve(sys.executable, [sys.executable, "-S", "-c", again], tricks)

#: another process
for start in (os.fork, lambda: subprocess.Popen([sys.executable, "-c", "0"]), lambda: os.posix_spawn(sys.executable, [sys.executable, "-c", "0"], {})):
    refused("a process", start)
import multiprocessing
refused("multiprocessing", lambda: multiprocessing.get_context("fork").Process(target=print).start())
print("CONTAINED")

#: a fork bomb
def bomb():
    while True:
        os.fork()
refused("a fork bomb", bomb)
print("CONTAINED")

#: a thread bomb
threads, stop = [], threading.Event()
threading.stack_size(64 << 10)
def start():
    while True:
        thread = threading.Thread(target=stop.wait, daemon=True)
        thread.start()
        threads.append(thread)
error = refused("a thread bomb", start)
print("THREADS", len(threads), error)
stop.set()
for thread in threads:
    thread.join()
if len(threads) > 64:
    print("ESCAPED", len(threads))
print("CONTAINED")

#: memory on the heap
held = []
def hold():
    while True:
        held.append(bytearray(16 << 20))
refused("memory", hold)
print("HELD", len(held) * 16)
held.clear()
if len(held) * 16 > 4096:
    print("ESCAPED")
print("CONTAINED")

#: memory by mmap
import mmap
held = []
def hold():
    while True:
        memory = mmap.mmap(-1, 32 << 20)
        memory.write(b"x" * (32 << 20))
        held.append(memory)
refused("shared memory", hold)
private = []
def hide():
    while True:
        memory = mmap.mmap(-1, 32 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        private.append(memory)
refused("private memory", hide)
if (len(held) + len(private)) * 32 > 4096:
    print("ESCAPED", len(held), len(private))
print("CONTAINED")

#: memory without a name
refused("memfd", lambda: os.memfd_create("x"))
refused("memfd_secret", lambda: call("memfd_secret", 0))
for name in ("shmget", "msgget", "semget"):
    refused(name, lambda: call(name, 0, 1 << 30, 0o1666))
pipes = []
def fill():
    while True:
        pair = os.pipe()
        os.set_blocking(pair[1], False)
        os.write(pair[1], b"x" * 65536)
        pipes.append(pair)
refused("pipes", fill)
if len(pipes) > 512:
    print("ESCAPED", len(pipes))
print("CONTAINED")

#: the scratch folder is full
import os
written, places = 0, [os.getcwd(), os.environ["TMPDIR"]] + [p for p in ("/dev/shm",) if os.path.isdir(p)]
def fill():
    global written
    number = 0
    while True:
        number += 1
        with open(os.path.join(places[number % len(places)], "f%d" % number), "wb") as file:
            written += file.write(b"x" * (1 << 20))
error = refused("the disk", fill)
print("FULL", written >> 20, error)
if written > 2 << 30:
    print("ESCAPED", written)
print("CONTAINED")

#: one file too large
file = open("large", "wb")
def grow():
    while True:
        file.write(b"x" * (1 << 20))
        file.flush()
refused("a large file", grow)
refused("a hole", lambda: os.truncate("large", 1 << 40))
refused("a reserve", lambda: os.posix_fallocate(file.fileno(), 0, 1 << 40))
print("CONTAINED")

#: files without number
count = 0
def litter():
    global count
    while True:
        open("n%d" % count, "w").close()
        count += 1
error = refused("files", litter)
print("LITTERED", count, error)
if count > 100000:
    print("ESCAPED", count)
print("CONTAINED")

#: folders without end
depth = 0
def dig():
    global depth
    while True:
        os.mkdir("d" * 100)
        os.chdir("d" * 100)
        depth += 1
refused("folders", dig)
print("DUG", depth)
print("CONTAINED")

#: output without end: OutputLimit
while True:
    os.write(1, b"x" * 65536)

#: complaints without end: OutputLimit
while True:
    sys.stderr.write("x" * 65536)

#: one line without end: MemoryError
print("x" * (1 << 40))

#: an answer without end: Broken
import struct
for channel in range(3, 16):
    try:
        os.write(channel, struct.pack(">I", 1 << 31))
    except OSError:
        pass
time.sleep(60)

#: an answer of its own: Broken
import json, struct
forged = json.dumps({"id": 999999, "result": "forged", "error": None}).encode()
for channel in range(3, 16):
    try:
        os.write(channel, struct.pack(">I", len(forged)) + forged + struct.pack(">I", 0))
    except OSError:
        pass
time.sleep(60)

#: an answer that is no JSON: Broken
import struct
for channel in range(3, 16):
    try:
        os.write(channel, struct.pack(">I", 3) + b"\xff\xfe{" + struct.pack(">I", 0))
    except OSError:
        pass
time.sleep(60)

#: a channel that is closed: Exited
os.closerange(3, 64)
print("CONTAINED")

#: signals to others
own, parent = os.getpid(), os.getppid()
for pid in (parent, 1, -1, 0, SERVER):
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, signal.SIGINT, 0):
        if pid in (own,):
            continue
        refused((pid, number), lambda: os.kill(pid, number))
refused("a group", lambda: os.killpg(os.getpgid(0), 0))
refused("a group", lambda: os.killpg(1, signal.SIGKILL))
refused("a queue", lambda: call("rt_sigqueueinfo", parent, 10, 0))
import fcntl
one, other = os.pipe()
for command, word in ((fcntl.F_SETOWN, parent), (10, signal.SIGKILL), (15, 0)):
    refused("a signal of a file", lambda: fcntl.fcntl(one, command, word))
print("CONTAINED")

#: limits and urgency of others
import resource
for pid in (os.getppid(), 1, SERVER):
    refused(("limits", pid), lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE))
    refused(("urgency", pid), lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
    refused(("processors", pid), lambda: os.sched_setaffinity(pid, [0]))
refused("its urgency", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
refused("all urgency", lambda: os.setpriority(os.PRIO_USER, os.getuid(), 19))
for name in ("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CPU", "RLIMIT_NPROC", "RLIMIT_CORE"):
    limit = getattr(resource, name)
    hard = resource.getrlimit(limit)[1]
    if hard == resource.RLIM_INFINITY:
        if name != "RLIMIT_NPROC":
            print("ESCAPED", name)
        continue
    try:
        resource.setrlimit(limit, (hard + 1, hard + 1))
        print("ESCAPED", name)
    except (OSError, ValueError):
        pass
print("CONTAINED")

#: memory of others
for pid in (os.getppid(), 1, SERVER):
    for request in (16, 0x4206):
        refused(("ptrace", pid), lambda: call("ptrace", request, pid, 0, 0))
    refused(("memory", pid), lambda: call("process_vm_readv", pid, 0, 0, 0, 0, 0))
    refused(("a descriptor", pid), lambda: call("pidfd_open", pid, 0))
print("CONTAINED")

#: keys of the terminal
import fcntl, termios
for descriptor in (0, 1, 2):
    refused("TIOCSTI", lambda: fcntl.ioctl(descriptor, termios.TIOCSTI, b"x"))
    refused("TIOCLINUX", lambda: fcntl.ioctl(descriptor, 0x541C, b"\x02"))
    refused("TIOCSCTTY", lambda: fcntl.ioctl(descriptor, termios.TIOCSCTTY, 1))
refused("a terminal", lambda: os.openpty())
print("CONTAINED")

#: stopping itself: TimeLimit
os.kill(os.getpid(), signal.SIGSTOP)

#: ending itself: Exited
os._exit(3)

#: killing itself: Killed
os.kill(os.getpid(), signal.SIGKILL)

#: a signal that few know: Killed
os.kill(os.getpid(), signal.SIGRTMIN + 3)

#: a crash: Killed
ctypes.string_at(0)

#: an abort that leaves no core: Killed
import resource
if resource.getrlimit(resource.RLIMIT_CORE)[1] > 1:
    print("ESCAPED")
os.abort()

#: sleeping for ever: TimeLimit
while True:
    try:
        time.sleep(1000)
    except BaseException:
        pass

#: a loop that catches everything: TimeLimit
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    try:
        while True:
            pass
    except BaseException:
        pass

#: work in C: TimeLimit
import re
re.match(r"(a+)+$", "a" * 64 + "b")

#: waiting in C: TimeLimit
signal.signal(signal.SIGALRM, signal.SIG_IGN)
signal.signal(signal.SIGXCPU, signal.SIG_IGN)
libc.sleep(1000)

#: a thread that stays
def work():
    while True:
        time.sleep(0.01)
threading.Thread(target=work).start()
print("CONTAINED")

#: work that nobody waits for
import atexit
atexit.register(time.sleep, 1000)
class Late:
    def __del__(self):
        time.sleep(1000)
late = Late()
del late
print("CONTAINED")

#: recursion: RecursionError
def deeper():
    return deeper()
deeper()

#: recursion without a limit: TimeLimit Killed MemoryError RecursionError SystemError
sys.setrecursionlimit(1 << 30)
def deeper(n):
    return repr([deeper(n + 1)])
deeper(0)

#: a result that cannot be shown: ValueError
class Bad:
    def __repr__(self):
        raise ValueError("no")
Bad()

#: a result without end: MemoryError
class Large:
    def __repr__(self):
        return "x" * (1 << 40)
Large()

#: an error that cannot be shown: Worse
class Worse(Exception):
    def __str__(self):
        raise SystemExit(7)
raise Worse()

#: output that is no text
os.write(1, b"\xff\xfe\x00 \xed\xa0\x80\n")
print("\ud800 lone")
print("CONTAINED")

#: a result that is no text
print("CONTAINED")
"\ud800\udfff"

#: outputs that are closed
sys.stdout.close()
sys.stderr = None
os.write(1, b"CONTAINED\n")

#: a driver that is changed: Exited
import builtins, io, json
json.dumps = json.loads = None
builtins.len = lambda x: 1 << 60
os.write(1, b"CONTAINED\n")
