"""GGUF's block types: rows that bise reads, bit for bit those of numpy.

usage: gguf_blocks.py BISE ROWS [SEED]      (needs numpy; gguf's own numpy code is taken where `import gguf` finds it)
For each type, a GGUF file with random blocks in its embedding (finite scales) is made, `bise quantize --type f32`
reads it, and the float32 of the .bise file are compared with the dequantization below, written from the format's
description (docs of ggml, https://github.com/ggml-org/ggml) as whole-array operations, and with gguf's where it is
installed. Prints a line for each type; exit status 1 where a bit differs.
"""
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np

F32, F16 = np.float32, np.float16


def half(b):
    return np.ascontiguousarray(b).view(F16).astype(F32)


def nibbles(b):  # [n, k] -> [n, 2 k]: all low ones, then all high ones
    return np.concatenate([b & 15, b >> 4], axis=-1)


def fifth(b):  # [n, 4] -> [n, 32] bits
    return np.unpackbits(b, axis=-1, bitorder="little")


def pairs(b, group):  # groups of `group` bytes: the low nibbles of a group, then its high ones
    return nibbles(b.reshape(len(b), -1, group)).reshape(len(b), -1)


def q4_0(b): return half(b[:, :2]) * (nibbles(b[:, 2:]).astype(np.int8) - 8).astype(F32)
def q4_1(b): return half(b[:, :2]) * nibbles(b[:, 4:]).astype(F32) + half(b[:, 2:4])
def q8_0(b): return half(b[:, :2]) * b[:, 2:].view(np.int8).astype(F32)


def q5_0(b):
    return half(b[:, :2]) * ((nibbles(b[:, 6:]) | fifth(b[:, 2:6]) << 4).astype(np.int8) - 16).astype(F32)


def q5_1(b):
    return half(b[:, :2]) * (nibbles(b[:, 8:]) | fifth(b[:, 4:8]) << 4).astype(F32) + half(b[:, 2:4])


def two_bits(b):  # [n, 64] -> [n, 256]
    b = b.reshape(len(b), 2, 1, 32)
    return (b >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1) & 3).reshape(len(b), 256)


def q2_k(b):
    d, dmin, scales = half(b[:, 80:82]), half(b[:, 82:84]), b[:, :16]
    ds, ms = d * (scales & 15).astype(F32), dmin * (scales >> 4).astype(F32)
    return np.repeat(ds, 16, 1) * two_bits(b[:, 16:80]).astype(F32) - np.repeat(ms, 16, 1)


def q3_k(b):
    high = np.stack([b[:, :32] >> k & 1 for k in range(8)], 1).reshape(len(b), 256)
    p = b[:, 96:108]
    low6 = np.concatenate([p[:, :8] & 15, p[:, :8] >> 4], 1)
    high6 = np.concatenate([p[:, 8:] >> k & 3 for k in (0, 2, 4, 6)], 1)
    scales = ((low6 | high6 << 4).astype(np.int8) - 32).astype(F32)
    q = (two_bits(b[:, 32:96]).astype(np.int8) - 4 * (1 - high).astype(np.int8)).astype(F32)
    return np.repeat(half(b[:, 108:110]) * scales, 16, 1) * q


def six_bits(p):
    low, high = p[:, :8] & 63, p[:, 8:]
    scale = np.concatenate([low[:, :4], high & 15 | p[:, :4] >> 6 << 4], 1)
    least = np.concatenate([low[:, 4:], high >> 4 | p[:, 4:8] >> 6 << 4], 1)
    return scale.astype(F32), least.astype(F32)


def q4_5_k(b, five):
    scale, least = six_bits(b[:, 4:16])
    q = pairs(b[:, 48 if five else 16:], 32)
    if five:
        q = q | np.stack([b[:, 16:48] >> k & 1 for k in range(8)], 1).reshape(len(b), 256) << 4
    ds, ms = half(b[:, :2]) * scale, half(b[:, 2:4]) * least
    return np.repeat(ds, 32, 1) * q.astype(F32) - np.repeat(ms, 32, 1)


def q4_k(b): return q4_5_k(b, False)
def q5_k(b): return q4_5_k(b, True)


def q6_k(b):
    low = pairs(b[:, :128], 64)
    high = b[:, 128:192].reshape(len(b), 2, 1, 32) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1) & 3
    q = ((low | high.reshape(len(b), 256) << 4).astype(np.int8) - 32).astype(F32)
    return np.repeat(half(b[:, 208:210]) * b[:, 192:208].view(np.int8).astype(F32), 16, 1) * q


IQ4 = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], F32)


def iq4_nl(b): return half(b[:, :2]) * IQ4[nibbles(b[:, 2:])]


def iq4_xs(b):
    high = np.ascontiguousarray(b[:, 2:4]).view(np.uint16)
    high = (high >> np.arange(0, 16, 2, dtype=np.uint16) & 3).astype(np.uint8)
    low = np.stack([b[:, 4:8] & 15, b[:, 4:8] >> 4], 2).reshape(len(b), 8)
    scales = ((low | high << 4).astype(np.int8) - 32).astype(F32)
    return np.repeat(half(b[:, :2]) * scales, 32, 1) * IQ4[pairs(b[:, 8:], 16)]


#        number, values, bytes, places of the halves
TYPES = {"Q4_0": (2, 32, 18, (0,), q4_0), "Q4_1": (3, 32, 20, (0, 2), q4_1), "Q5_0": (6, 32, 22, (0,), q5_0),
         "Q5_1": (7, 32, 24, (0, 2), q5_1), "Q8_0": (8, 32, 34, (0,), q8_0), "Q2_K": (10, 256, 84, (80, 82), q2_k),
         "Q3_K": (11, 256, 110, (108,), q3_k), "Q4_K": (12, 256, 144, (0, 2), q4_k),
         "Q5_K": (13, 256, 176, (0, 2), q5_k), "Q6_K": (14, 256, 210, (208,), q6_k),
         "IQ4_NL": (20, 32, 18, (0,), iq4_nl), "IQ4_XS": (23, 256, 136, (0,), iq4_xs)}


def text(s): return struct.pack("<Q", len(s)) + s.encode()


def write_gguf(path, number, blocks, rows, cols):
    u32 = lambda k, v: text(k) + struct.pack("<II", 4, v)
    meta = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    meta += [u32("llama." + k, v) for k, v in (("embedding_length", cols), ("block_count", 1), ("attention.head_count", 4),
                                             ("attention.head_count_kv", 4), ("feed_forward_length", 32))]
    zeros = lambda r, c: np.zeros((r, c), F32).tobytes()
    tensors = [("token_embd.weight", (cols, rows), number, blocks.tobytes())]
    for name, r, c in (("attn_q", cols, cols), ("attn_k", cols, cols), ("attn_v", cols, cols), ("attn_output", cols, cols),
                       ("ffn_gate", 32, cols), ("ffn_up", 32, cols), ("ffn_down", cols, 32)):
        tensors.append((f"blk.0.{name}.weight", (c, r), 0, zeros(r, c)))
    for name in ("blk.0.attn_norm.weight", "blk.0.ffn_norm.weight", "output_norm.weight"):
        tensors.append((name, (cols,), 0, zeros(1, cols)))
    table, data = b"", b""
    for name, shape, kind, raw in tensors:
        table += text(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", x) for x in shape)
        table += struct.pack("<IQ", kind, len(data))
        data += raw + b"\0" * (-len(raw) % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(meta)) + b"".join(meta) + table
    open(path, "wb").write(head + b"\0" * (-len(head) % 32) + data)


def embedding(path, rows, cols):  # of a .bise file of type f32 (docs/format.md)
    b = open(path, "rb").read()
    table, = struct.unpack_from("<Q", b, 48)
    assert b[table:table + 15] == b"tok_embeddings\0" and struct.unpack_from("<I", b, table + 64)[0] == 0
    offset, = struct.unpack_from("<Q", b, table + 80)
    k, panels = -(-cols // 128) * 128, -(-rows // 16)
    x = np.frombuffer(b, "<f4", panels * 16 * k, offset).reshape(panels, k, 16)
    return x.transpose(0, 2, 1).reshape(panels * 16, k)[:rows, :cols]


def main(bise, rows, seed=1):
    rows, cols, bad = int(rows), 512, 0
    rng = np.random.default_rng(int(seed))
    try:
        from gguf.quants import dequantize
        from gguf.constants import GGMLQuantizationType
    except ImportError:
        dequantize = None
    for name, (number, values, size, halves, read) in TYPES.items():
        blocks = rng.integers(0, 256, (rows * cols // values, size), np.uint8)
        for at in halves:
            blocks[:, at:at + 2] = rng.normal(0, 0.1, len(blocks)).astype(F16).view(np.uint8).reshape(-1, 2)
        want = {"numpy": read(blocks).reshape(rows, cols)}
        if dequantize:
            want["gguf"] = dequantize(blocks.reshape(rows, -1), GGMLQuantizationType[name]).reshape(rows, cols)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "m.gguf")
            write_gguf(path, number, blocks, rows, cols)
            subprocess.run([bise, "quantize", path, "-o", path + ".bise", "--type", "f32"], check=True,
                           stderr=subprocess.DEVNULL)
            found = embedding(path + ".bise", rows, cols)
        same = {k: int(np.all(found.view(np.uint32) == w.view(np.uint32), axis=1).sum()) for k, w in want.items()}
        print(f"{name:7} {rows} rows of {cols}: " + ", ".join(f"{n} bit-equal with {k}" for k, n in same.items()))
        bad += any(n != rows for n in same.values())
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
