# The program in the sandbox: runs the code that it is sent, and says what came of it.
#
# It talks over the descriptor whose number is its first argument, in messages: four bytes of length, JSON, four bytes
# that count blobs, and each blob behind its length. The code that it runs shares its process and can do to it what it
# likes; who reads its answers takes them as that code's words.
#
# What takes long to import and is seldom needed is imported where it is needed: a sandbox starts for each call.
import _ast, builtins, io, json, os, resource, signal, stat, struct, sys, types

DRIVER = sys.modules["__main__"]  # It is replaced there, and has to stay.
CHANNEL = int(sys.argv[1])
SETUP = json.loads(sys.argv[2])
del sys.argv[1:]
sys.argv[0] = ""
HOME = os.getcwd()
SOURCES = {}


class TimeLimit(BaseException):
    """The time of a call is up. No exception that code catches by habit."""


def receive(length):
    parts = []
    while length:
        part = os.read(CHANNEL, min(length, 1 << 20))
        if not part:
            os._exit(0)
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def number():
    return struct.unpack(">I", receive(4))[0]


def send(value, blobs=()):
    data = json.dumps(value).encode()
    parts = [struct.pack(">I", len(data)), data, struct.pack(">I", len(blobs))]
    for blob in blobs:
        parts += [struct.pack(">I", len(blob)), blob]
    data = memoryview(b"".join(parts))
    while data:
        data = data[os.write(CHANNEL, data):]


def plain(text):
    """A text that UTF-8 has words for."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(text, most):
    """At most so many characters of a text, and whether there were more."""
    text = plain(text)
    return text[:most], len(text) > most


def outputs():
    """Opens standard output and error anew: the code may have closed or replaced them."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(descriptor, "w", closefd=False)
        text = io.TextIOWrapper(
            io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        setattr(sys, name, text)
        setattr(sys, "__%s__" % name, text)


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass


def on_time(number, frame):
    raise TimeLimit()


def start_clock(seconds, cpu):
    """Ends the call by an exception when its time is up. Who wants to be sure does not rely on it."""
    signal.signal(signal.SIGALRM, on_time)
    signal.signal(signal.SIGXCPU, on_time)
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used.ru_utime + used.ru_stime) + 1 + cpu
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def stop_clock():
    signal.setitimer(signal.ITIMER_REAL, 0)


def fresh():
    """A module for the code to run in, as the main program is one."""
    module = types.ModuleType("__main__")
    module.__builtins__ = builtins
    sys.modules["__main__"] = module
    return module


def listing():
    """What is in the scratch folder: size and time of each file by its name."""
    found, folders = {}, [HOME]
    while folders and len(found) < SETUP["listed"]:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name == "__pycache__":
                continue
            try:
                kind = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISDIR(kind.st_mode):
                folders.append(entry.path)
            elif stat.S_ISREG(kind.st_mode):
                name = os.path.relpath(entry.path, HOME)
                found[name] = (kind.st_size, kind.st_mtime_ns, kind.st_ino)
    return found


def collect(before):
    """Files that are new or changed, as far as there is room; and the names of those for which there is none."""
    names, blobs, left_out, room = [], [], [], SETUP["bytes"]
    for name, kind in sorted(listing().items()):
        if before.get(name) == kind or name != plain(name):
            continue
        if len(names) == SETUP["files"] or kind[0] > min(room, SETUP["file"]):
            if len(left_out) < SETUP["files"]:
                left_out.append({"name": name, "bytes": kind[0]})
            continue
        try:
            descriptor = os.open(os.path.join(HOME, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                blob = file.read(kind[0])
        except OSError:
            continue
        names.append(name)
        blobs.append(blob)
        room -= len(blob)
    return names, blobs, left_out


def figures():
    """Saves the figures that are open, as a notebook shows them, and closes them."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums()[:SETUP["files"]]:
        place = 1
        while os.path.exists(os.path.join(HOME, "figure-%d.png" % place)):
            place += 1
        pyplot.figure(number).savefig(os.path.join(HOME, "figure-%d.png" % place), bbox_inches="tight")
    pyplot.close("all")


def described(kind, error, trace, file):
    """An error as the person who wrote the code sees it: from the first frame of that code on."""
    import linecache
    import traceback

    for name, code in SOURCES.items():
        linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    line = None
    if issubclass(kind, SyntaxError) and getattr(error, "filename", None) == file:
        trace, line = None, error.lineno
    while trace is not None and trace.tb_frame.f_code.co_filename != file:
        trace = trace.tb_next
    for frame, number in traceback.walk_tb(trace):
        if frame.f_code.co_filename == file:
            line = number
    try:
        lines = traceback.format_exception(kind, error, trace, limit=-SETUP["frames"], chain=trace is not None)
        message = str(error)
    except BaseException as other:
        lines, message = [], "it cannot be shown: %s" % type(other).__name__
    if issubclass(kind, TimeLimit):
        lines, message = lines[:-1], "the time of the call is up"
    text, _ = cut("".join(lines), SETUP["text"])
    return {"type": kind.__name__, "message": cut(message, SETUP["text"])[0], "traceback": text, "line": line}


def execute(module, code, file):
    """Runs code in a module; the value of its last line, if that is an expression."""
    SOURCES[file] = code
    tree = compile(code, file, "exec", _ast.PyCF_ONLY_AST, dont_inherit=True)
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, _ast.Expr):
        exec(compile(tree, file, "exec"), module.__dict__)
        return None
    tree.body.pop()
    exec(compile(tree, file, "exec"), module.__dict__)
    return eval(compile(_ast.Expression(last.value), file, "eval"), module.__dict__)


def answer(request, module, file):
    """Does what is asked, and says what came of it."""
    said = {"id": request["id"], "result": None, "value": None, "error": None, "cut": False}
    before = listing()
    try:
        start_clock(request["seconds"], request["cpu"])
        value = execute(module, request["code"], file)
        if request["op"] == "call":
            if not callable(module.__dict__.get("run")):
                raise NameError("the code defines no function `run`")
            value = module.__dict__["run"](**request["input"])
            said["value"] = json.loads(json.dumps(value, allow_nan=False))
        elif value is not None:
            said["result"], said["cut"] = cut(repr(value), SETUP["text"])
        figures()
    except SystemExit as error:
        if error.code not in (None, 0):
            said["error"] = described(SystemExit, error, error.__traceback__, file)
    except BaseException as error:
        said["error"] = described(type(error), error, error.__traceback__, file)
    finally:
        stop_clock()
    flush()
    names, blobs, said["left_out"] = collect(before)
    said["files"] = names
    own = [name for name in module.__dict__ if not name.startswith("__")]
    said["names"] = [cut(name, 64)[0] for name in own[:SETUP["names"]]]
    return said, blobs


def safely(request, module, file):
    """The same, and an answer whatever goes wrong on the way to one, such as time that is up just then."""
    try:
        return answer(request, module, file)
    except BaseException as error:
        stop_clock()
        message = "no answer could be made: %s" % type(error).__name__
        error = {"type": type(error).__name__, "message": message, "traceback": "", "line": None}
        return {"id": request["id"], "error": error}, []


def main():
    for folder in SETUP["packages"]:
        import site

        site.addsitedir(folder)
    sys.path.insert(0, HOME)
    os.makedirs(os.environ["TMPDIR"], exist_ok=True)
    outputs()
    send({"hello": list(sys.version_info[:3])})
    module, count = fresh(), 0
    while True:
        request = json.loads(receive(number()))
        blobs = [receive(number()) for _ in range(number())]
        count += 1
        file = "<call %d>" % count
        outputs()
        try:
            for name, blob in zip(request["files"], blobs):
                path = os.path.join(HOME, name)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                if os.path.islink(path):
                    os.unlink(path)
                with open(path, "wb") as file_in:
                    file_in.write(blob)
        except OSError as error:
            said = described(type(error), error, None, file)
            send({"id": request["id"], "error": said, "refused": True})
            continue
        del blobs
        said, files = safely(request, module, file)
        send(said, files)


main()
