"""The demo model with V3's control pieces in place of its rarest pieces, in i8.
usage: v3_demo.py OUT.bise"""
import os
import subprocess
import sys

PIECES = ["[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]",
          "[/TOOL_RESULTS]"]


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def fields(data):
    """(number, wire type, bytes of the field's whole text, its content)"""
    at = 0

    def read():
        nonlocal at
        n = shift = 0
        while True:
            b = data[at]
            at += 1
            n |= (b & 0x7F) << shift
            shift += 7
            if b < 0x80:
                return n

    while at < len(data):
        start = at
        tag = read()
        if tag & 7 == 0:
            content = read()
        elif tag & 7 == 5:
            content = data[at:at + 4]
            at += 4
        elif tag & 7 == 1:
            content = data[at:at + 8]
            at += 8
        else:
            n = read()
            content = data[at:at + n]
            at += n
        yield tag >> 3, tag & 7, data[start:at], content


def control(text):
    piece = b"\x0a" + varint(len(text)) + text.encode() + b"\x15\0\0\0\0" + b"\x18\x03"
    return b"\x0a" + varint(len(piece)) + piece


def main():
    data = open("tests/data/demo/tokenizer.model", "rb").read()
    all_fields = list(fields(data))
    last = [i for i, f in enumerate(all_fields) if f[0] == 1][-len(PIECES):]
    out = b"".join(control(PIECES[last.index(i)]) if i in last else f[2] for i, f in enumerate(all_fields))
    tokenizer = sys.argv[1] + ".tokenizer.model"
    open(tokenizer, "wb").write(out)
    subprocess.run([os.environ.get("BISE", "build/bise"), "quantize", "models/demo.bise", "-o", sys.argv[1], "--type", "i8",
                    "--tokenizer", tokenizer, "--chat-format", "v3"], check=True, stderr=subprocess.DEVNULL)


main()
