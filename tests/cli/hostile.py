#!/usr/bin/env python3
"""Inputs that broke earlier versions, each of a kind, and what they take.

hostile.py make FOLDER              writes them
hostile.py run LIMIT COMMAND...     prints exit status, seconds and bytes resident at most; the
                                    command is killed after LIMIT seconds (status 124). What it
                                    wrote goes to stdout below that line
"""
import json, os, resource, signal, struct, subprocess, sys, time


def grammars():
    yield "names.gbnf", "root ::= r0\n" + "".join(f'r{i} ::= "x"\n' for i in range(80000))
    chain = "".join(f"r{i} ::= r{i + 1}\n" for i in range(60000))
    yield "nullable.gbnf", "root ::= r0\n" + chain + 'r60000 ::= ""\n'
    yield "deep.gbnf", "root ::= " + "(" * 100 + '"a"' + ")" * 100 + "\n"
    yield "deeper.gbnf", "root ::= " + "(" * 500000 + '"a"' + ")" * 500000 + "\n"


def oneof(n):
    """Two branches, each of objects of n members that refer to the next level."""
    defs = {}
    for side in "ab":
        for level in range(4):
            inner = {"$ref": f"#/$defs/{side}{level + 1}"} if level < 3 else {"type": "string"}
            members = {f"p{i}": inner for i in range(n)}
            defs[f"{side}{level}"] = {"type": "object", "properties": members, "required": list(members)}
    return {"$defs": defs, "oneOf": [{"$ref": "#/$defs/a0"}, {"$ref": "#/$defs/b0"}]}


def schemas():
    for n in (10, 40, 100):
        yield f"oneof-{n}.json", json.dumps(oneof(n))
    yield "deepprop.json", json.dumps({"type": "object", "properties": {"a" * i: {} for i in range(1, 99)}})
    yield "deepre.json", json.dumps({"type": "string", "pattern": "^" + "(" * 47 + "a" + ")*" * 47 + "$"})
    yield "deepest.json", '{"not":' * 20000 + "{}" + "}" * 20000


def text(s):
    return struct.pack("<Q", len(s)) + s


def gguf(tensors, values=()):
    out = [b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))]
    out += [text(key) + struct.pack("<I", 8) + text(value) for key, value in values]
    for name, dims in tensors:
        out.append(text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, 0))
    return b"".join(out)


STEER = b"\x1b]0;T\x07"


def checkpoints():
    yield "experts.gguf", gguf([(b"a_exps.weight", (32, 1, 256))] * 100000) + bytes(32800)
    yield "tensor.gguf", gguf([(STEER + b"a", (3,))])
    yield "architecture.gguf", gguf([], [(b"general.architecture", STEER)])
    header = json.dumps({STEER.decode() + "\nall is well": {"dtype": "Q9", "shape": [1], "data_offsets": [0, 1]}}).encode()
    yield "name.safetensors", struct.pack("<Q", len(header)) + header + b"x"
    yield "deep.safetensors", struct.pack("<Q", 1 << 20) + b"[" * (1 << 20)


def make(folder):
    for name, data in (*grammars(), *schemas(), *checkpoints()):
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())


def run(limit, command):
    begun = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    signal.signal(signal.SIGALRM, lambda *_: child.kill())
    signal.alarm(limit)
    out = child.stdout.read()
    code = child.wait()
    late = time.monotonic() - begun >= limit
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(124 if late else code if code >= 0 else 128 - code, f"{time.monotonic() - begun:.2f}", most, flush=True)
    sys.stdout.buffer.write(out)


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    run(int(sys.argv[2]), sys.argv[3:])
