#!/usr/bin/env python3
"""make_seeds.py - the seeds of the fuzzing corpora: small files, valid and nearly so, of every container.

    python3 tests/fuzz/make_seeds.py [FOLDER]       default: tests/fuzz/corpus

Standard library only; the same bytes each time (deflate streams are those of the zlib at hand). Files that a fuzzer
found have other names and are left alone.
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import struct
import sys
import zlib

FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def seed(harness, name, data):
    assert len(data) < 4096, (harness, name, len(data))
    os.makedirs(os.path.join(FOLDER, harness), exist_ok=True)
    with open(os.path.join(FOLDER, harness, "seed-" + name), "wb") as f:
        f.write(data)


def floats(n, start=1):
    return struct.pack("<%df" % n, *[((i * 37 + start * 11) % 64 - 31.5) / 64 for i in range(n)])


# A small adapter of two modules, as name -> (shape, bytes): what every container holds below.
def factors(r=2, m=6, n=5):
    out = {}
    for k, part in enumerate(("q_proj", "v_proj")):
        base = "base_model.model.model.layers.%d.self_attn.%s" % (k, part)
        out[base + ".lora_A.weight"] = ((r, n), floats(r * n, k))
        out[base + ".lora_B.weight"] = ((m, r), floats(m * r, k + 5))
    return out


# ---- safetensors ----

def safetensors(tensors, metadata=None, dtype="F32"):
    header, data = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def raw_header(text, data=b""):
    return struct.pack("<Q", len(text)) + text + data


DTYPES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
          "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "C64": 8, "F64": 8, "I64": 8, "U64": 8}


def all_dtypes():
    header, data = {}, b""
    for dtype, width in DTYPES.items():
        raw = bytes(range(16 * width))
        header["t." + dtype] = {"dtype": dtype, "shape": [4, 4], "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    return raw_header(json.dumps(header).encode(), data)


def kohya():
    t = {}
    for k in range(2):
        base = "lora_unet_down_blocks_%d_attentions_0_proj_in" % k
        t[base + ".lora_down.weight"] = ((2, 4, 1, 1), floats(8, k))
        t[base + ".lora_up.weight"] = ((4, 2, 1, 1), floats(8, k + 3))
        t[base + ".alpha"] = ((), struct.pack("<f", 1))
    return t


META = {"format": "pt", "lora_adapter_metadata": json.dumps({"r": 2, "lora_alpha": 4, "peft_type": "LORA"}),
        "ss_num_train_images": "120", "ss_network_dim": "2"}


def make_safetensors():
    files = {
        "peft": safetensors(factors(), META),
        "kohya": safetensors(kohya(), {"ss_network_module": "networks.lora", "ss_datasets": "[{\"n\": 1}]"}),
        "dtypes": all_dtypes(),
        "empty-object": raw_header(b"{}"),
        "scalar": raw_header(b'{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', floats(1)),
        "axis-of-zero": raw_header(b'{"a":{"dtype":"F16","shape":[0,7],"data_offsets":[0,0]}}'),
        "escapes": raw_header(b'{"\\u0061\\ud83d\\ude00":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}', b"x"),
        "f4": raw_header(b'{"a":{"dtype":"F4","shape":[4],"data_offsets":[0,2]}}', b"xy"),
        "hole": raw_header(b'{"a":{"dtype":"I8","shape":[1],"data_offsets":[1,2]}}', b"xy"),
        "overlap": raw_header(b'{"a":{"dtype":"I8","shape":[2],"data_offsets":[0,2]},'
                              b'"b":{"dtype":"I8","shape":[2],"data_offsets":[1,3]}}', b"xyz"),
        "twice": raw_header(b'{"a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]},'
                            b'"a":{"dtype":"I8","shape":[0],"data_offsets":[0,0]}}'),
        "overflow": raw_header(b'{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
        "cut": safetensors(factors())[:-3],
        "trailing": safetensors(factors()) + b"more",
        "long-header": struct.pack("<Q", 99999999) + b"{}",
        "not-finite": safetensors({"m.lora_A.weight": ((1, 2), struct.pack("<2f", float("inf"), 1)),
                                   "m.lora_B.weight": ((2, 1), struct.pack("<2f", float("nan"), 1))}),
        "zero-b": safetensors({"m.lora_A.weight": ((2, 4), floats(8)), "m.lora_B.weight": ((3, 2), bytes(24))}),
    }
    for name, data in files.items():
        seed("safetensors", name, data)
    for name in ("peft", "kohya", "dtypes", "not-finite", "zero-b", "cut", "escapes"):
        seed("audit", "safetensors-" + name, files[name])


# ---- zip ----

def member(name, data, deflate=False, **changes):
    return dict({"name": name, "data": data, "deflate": deflate, "flags": 0, "method": 8 if deflate else 0, "crc": zlib.crc32(data),
                 "local_name": name, "extra": b"", "bytes": len(data), "zip64": False, "late": False}, **changes)


def zip_file(members, comment=b"", between=b"", front=b"", end_zip64=False):
    body, directory = front, b""
    for m in members:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        stored = packer.compress(m["data"]) + packer.flush() if m["deflate"] else m["data"]
        name, local, at = m["name"].encode(), m["local_name"].encode(), len(body)
        flags = m["flags"] | (8 if m["late"] else 0)
        sizes = (0, 0, 0) if m["late"] else (m["crc"], len(stored), m["bytes"])
        body += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, flags, m["method"], 0, 0x21, *sizes, len(local), len(m["extra"]))
        body += local + m["extra"] + stored
        if m["late"]:
            body += struct.pack("<IIII", 0x08074B50, m["crc"], len(stored), m["bytes"])
        body += between
        extra, n, k, where = b"", len(stored), m["bytes"], at
        if m["zip64"]:
            extra = struct.pack("<HHQQQ", 1, 24, m["bytes"], len(stored), at)
            n = k = where = 0xFFFFFFFF
        directory += struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 45, 20, flags, m["method"], 0, 0x21, m["crc"], n, k,
                                 len(name), len(extra), 0, 0, 0, 0, where) + name + extra
    out, at, count = body + directory, len(body), len(members)
    if end_zip64:
        here = len(out)
        out += struct.pack("<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, len(directory), at)
        out += struct.pack("<IIQI", 0x07064B50, 0, here, 1)
        return out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, len(comment)) + comment
    return out + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), at, len(comment)) + comment


def make_zip():
    text, run = b"hello, archive", b"a" * 900
    one = zip_file([member("a.txt", text)])
    files = {
        "stored": one,
        "deflated": zip_file([member("a.txt", run, True), member("b", text, True)]),
        "empty": zip_file([]),
        "comment": zip_file([member("a", text)], comment=b"a comment PK\5\6"),
        "zip64": zip_file([member("a", text, zip64=True)], end_zip64=True),
        "late-sizes": zip_file([member("r/data.pkl", text, late=True), member("r/data/0", run, late=True)]),
        "aligned": zip_file([member("r/data/0", text, extra=struct.pack("<HH", 0x4246, 20) + b"Z" * 20)]),
        "two-names": zip_file([member("a", text, local_name="b")]),
        "same-name": zip_file([member("a", text), member("a", run)]),
        "bad-crc": zip_file([member("a", text, crc=0x12345678)]),
        "encrypted": zip_file([member("a", text, flags=1), member("b", text, flags=0x60)]),
        "traversal": zip_file([member("../../etc/passwd", text), member("/abs", text), member("c:\\x", text)]),
        "between": zip_file([member("a", text), member("b", text)], between=b"cos\nsystem\n"),
        "in-front": zip_file([member("a", text)], front=b"\x80\x02cos\nsystem\n."),
        "two-archives": one + one,
        "trailing": one + b"tail",
        "cut": one[:-7],
        "bomb": zip_file([member("a", bytes(200000), True)]),
        "size-lies": zip_file([member("a", run, True, bytes=17), member("b", run, True, bytes=70000)]),
        "method": zip_file([member("a", text, method=12)]),
        "folder": zip_file([member("d/", b""), member("d/a", text)]),
        "bad-deflate": zip_file([member("a", text, method=8)]),
        "odd-name": zip_file([member("a\0b", text), member("\u00e9\u202e", text), member("", text)]),
    }
    for name, data in files.items():
        seed("zip", name, data)
    seed("audit", "zip-late-sizes", files["late-sizes"])


# ---- pickle: opcodes by hand, as torch writes them ----

def text(s):
    raw = s.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def number(n):
    return b"K" + bytes([n]) if n < 256 else b"M" + struct.pack("<H", n) if n < 65536 else b"J" + struct.pack("<i", n)


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def storage(key, n, kind="FloatStorage", view=b""):
    return tuple_of(text("storage"), b"ctorch\n" + kind.encode() + b"\n", text(str(key)), text("cpu"), number(n), view) + b"Q"


def tensor(key, n, shape, offset=0, strides=None, kind="FloatStorage", view=b""):
    if strides is None:
        strides, step = [], 1
        for axis in reversed(shape):
            strides.insert(0, step)
            step *= axis
    return (b"ctorch._utils\n_rebuild_tensor_v2\n" +
            tuple_of(storage(key, n, kind, view), number(offset), tuple_of(*map(number, shape)), tuple_of(*map(number, strides)),
                     b"\x89", b"ccollections\nOrderedDict\n)R") + b"R")


def dict_of(items):
    return b"}(" + b"".join(text(k) + v for k, v in items) + b"u"


def ordered(items):
    return b"ccollections\nOrderedDict\n)R(" + b"".join(text(k) + v for k, v in items) + b"u"


def pickled(body, protocol=2):
    return b"\x80" + bytes([protocol]) + body + b"."


def state_dict(tensors, make=ordered, view=b""):
    return make([(name, tensor(k, len(raw) // 4, shape, view=view)) for k, (name, (shape, raw)) in enumerate(tensors.items())])


def make_pickle():
    exploit = b"cos\nsystem\n(S'id'\ntR."
    t = tensor(0, 64, (4, 4))
    files = {
        "state-dict": pickled(state_dict(factors())),
        "nested": pickled(dict_of([("state_dict", dict_of([("w", t)])), ("epoch", number(3)), ("lr", b"G" + struct.pack(">d", 1e-4))])),
        "list": pickled(b"](" + t + tensor(1, 64, (2, 3), 5, (3, 1)) + b"e"),
        "strided": pickled(dict_of([("w", tensor(0, 64, (4, 4), 0, (1, 4))), ("v", tensor(0, 64, (4,), 60, (1,)))])),
        "beyond": pickled(dict_of([("w", tensor(0, 64, (9, 9)))])),
        "missing": pickled(dict_of([("w", tensor("x", 64, (4, 4)))])),
        "parameter": pickled(dict_of([("w", b"ctorch._utils\n_rebuild_parameter\n" + tuple_of(t, b"\x88", b"ccollections\nOrderedDict\n)R") + b"R")])),
        "kinds": pickled(dict_of([(k, tensor(i, 64, (2, 2), kind=k)) for i, k in enumerate(
            ["HalfStorage", "BFloat16Storage", "DoubleStorage", "LongStorage", "CharStorage", "BoolStorage", "UntypedStorage"])])),
        "v3": pickled(dict_of([("w", b"ctorch._utils\n_rebuild_tensor_v3\n" + tuple_of(
            storage(0, 64, "UntypedStorage"), number(0), tuple_of(number(4)), tuple_of(number(1)), b"\x89",
            b"ccollections\nOrderedDict\n)R", b"ctorch\nfloat8_e4m3fn\n") + b"R")])),
        "memo": pickled(b"}q\x00(" + text("a") + b"q\x01" + t + b"q\x02" + text("b") + b"h\x02u"),
        "cycle": pickled(b"]q\x00h\x00a"),
        "exploit-0": exploit,
        "exploit-inst": b"(S'id'\nios\nsystem\n.",
        "exploit-obj": b"(cos\nsystem\nS'id'\no.",
        "exploit-4": pickled(b"\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x02id\x94\x85R", 4),
        "exploit-broken": b"\x80\x02cbuiltins\nexec\n" + text("1") + b"\x85R\xff",
        "two": pickled(b"N") + exploit,
        "build": pickled(b"ccollections\nOrderedDict\n)R}" + text("_metadata") + b"}sb"),
        "all-numbers": pickled(b"(I7\nI01\nL99999999999999999999L\nF1.5\n\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x8b\1\0\0\0\x05G" +
                               struct.pack(">d", 2.5) + b"K\1M\1\1J\1\0\0\0N\x88\x89t"),
        "all-texts": pickled(b"(S'a\\n'\nT\2\0\0\0abU\1bV\\u0041\n\x8c\1cX\1\0\0\0dB\1\0\0\0eC\1f\x8d\1\0\0\0\0\0\0\0g"
                             b"\x8e\1\0\0\0\0\0\0\0h\x96\1\0\0\0\0\0\0\0it", 5),
        "all-containers": pickled(b"((l](K\1K\2eK\3a(d}K\1K\2s)K\1\x85K\1K\2\x86K\1K\2K\3\x87\x8f(K\1\x90(K\1\x9120t", 4),
        "extensions": pickled(b"\x82\1\x83\1\0\x84\1\0\0\0"),
        "deep": pickled(b"]" * 100 + b"a" * 99),
        "put-get": pickled(b"]p0\ng0\nr\0\1\0\0j\0\1\0\0\x94"),
        "persistent": b"Pabc\n.",
        "new-object": pickled(b"ccollections\nOrderedDict\n)\x81ccollections\nOrderedDict\n)}\x92", 4),
        "cut": pickled(state_dict(factors()))[:-40],
        "buffers": pickled(b"\x97\x98", 5),
    }
    for name, data in files.items():
        seed("pickle", name, data)
    for name in ("exploit-0", "exploit-4"):
        seed("audit", "pickle-" + name, files[name])


# ---- torch ----

def torch_zip(tensors, pickle=None, order=b"little", more=(), deflate=False, root="archive"):
    members = [member(root + "/data.pkl", pickle or pickled(state_dict(tensors)), deflate)]
    members += [member(root + "/byteorder", order)] if order else []
    members += [member("%s/data/%d" % (root, k), raw, deflate) for k, (_, raw) in enumerate(tensors.values())]
    return zip_file(members + [member(root + "/version", b"3\n")] + list(more))


def make_torch():
    small, one = factors(2, 3, 4), {"w": ((4, 4), floats(16))}
    swapped = {k: (s, b"".join(raw[i:i + 4][::-1] for i in range(0, len(raw), 4))) for k, (s, raw) in small.items()}
    files = {
        "peft": torch_zip(small),
        "deflated": torch_zip(small, deflate=True),
        "big-endian": torch_zip(swapped, order=b"big"),
        "no-byteorder": torch_zip(one, order=None),
        "views": torch_zip(one, pickled(dict_of([("a", tensor(0, 16, (4, 4), 0, (1, 4))), ("b", tensor(0, 16, (2, 2), 3))]))),
        "missing": torch_zip(one, pickled(dict_of([("a", tensor(7, 16, (4, 4)))]))),
        "too-small": torch_zip(one, pickled(dict_of([("a", tensor(0, 17, (4, 4)))]))),
        "stray": torch_zip(one, more=[member("archive/code/x.py", b"import os"), member("other.pkl", b"cos\nsystem\n(S'id'\ntR.")]),
        "exploit": torch_zip(one, b"\x80\x02cos\nsystem\n" + text("id") + b"\x85R."),
        "two-pickles": torch_zip(one, more=[member("archive/data.pkl", b"cos\nsystem\n(S'id'\ntR.")]),
        "bad-crc": zip_file([member("a/data.pkl", pickled(state_dict(one)), crc=1), member("a/data/0", one["w"][1], crc=2)]),
        "no-pickle": zip_file([member("a/data/0", floats(16)), member("a/version", b"3\n")]),
    }
    for name, data in files.items():
        seed("torch_zip", name, data)
    for name in ("peft", "deflated", "big-endian", "views", "exploit"):
        seed("audit", "torch-" + name, files[name])

    head = (pickled(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19") + pickled(b"M\xe9\x03") +
            pickled(dict_of([("protocol_version", b"M\xe9\x03"), ("little_endian", b"\x88"),
                             ("type_sizes", dict_of([("short", number(2)), ("int", number(4)), ("long", number(4))]))])))

    def legacy(tensors, body=None, keys=None):
        keys = [str(k) for k in range(len(tensors))] if keys is None else keys
        out = head + pickled(body or state_dict(tensors, view=b"N")) + pickled(b"](" + b"".join(map(text, keys)) + b"e")
        for _, raw in tensors.values():
            out += struct.pack("<q", len(raw) // 4) + raw
        return out
    old = {
        "peft": legacy(small),
        "one": legacy(one),
        "view": legacy(one, dict_of([("a", tensor(0, 16, (2, 2), 0, view=tuple_of(text("9"), number(4), number(8))))])),
        "keys-differ": legacy(one, keys=["0", "5"]),
        "no-keys": legacy(one, keys=[]),
        "cut": legacy(one)[:-5],
        "trailing": legacy(one) + b"more",
        "exploit": legacy(one, b"cos\nsystem\n" + text("id") + b"\x85R"),
        "wrong-count": legacy(one)[:-72] + struct.pack("<q", -1) + floats(16),
        "head": head,
    }
    for name, data in old.items():
        seed("torch_legacy", name, data)
    for name in ("peft", "view", "exploit"):
        seed("audit", "legacy-" + name, old[name])


# ---- numpy ----

def npy(descr, shape, data, fortran=False, version=1, header=None):
    if header is None:
        header = "{'descr': '%s', 'fortran_order': %s, 'shape': (%s), }" % (descr, fortran, "".join("%d, " % s for s in shape))
    raw = header.encode()
    length = 10 if version == 1 else 12
    raw += b" " * (-(length + len(raw) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(raw)) + raw + data


def make_numpy():
    f = floats(12)
    files = {
        "f4": npy("<f4", (3, 4), f),
        "fortran": npy("<f4", (3, 4), f, True),
        "big-endian": npy(">f4", (3, 4), f),
        "version-2": npy("<f4", (12,), f, version=2),
        "version-3": npy("<f4", (12,), f, version=3),
        "scalar": npy("<f8", (), bytes(8)),
        "zero": npy("<f4", (0, 5), b""),
        "object": npy("|O", (1,), pickled(b"cos\nsystem\n" + text("id") + b"\x85R")),
        "structured": npy("", (), b"", header="{'descr': [('a', '<f4'), ('b', '<i2')], 'fortran_order': False, 'shape': (2,)}"),
        "overflow": npy("<f8", (4294967296, 4294967296), b""),
        "negative": npy("<f4", (-1,), f),
        "cut": npy("<f4", (3, 4), f)[:-2],
        "trailing": npy("<f4", (3, 4), f) + b"x",
        "no-shape": npy("", (), f, header="{'descr': '<f4', 'fortran_order': False}"),
        "long": npy("<f4", (12,), f, header="{'shape': (12,), \"descr\": \"<f4\", 'fortran_order': False, }"),
    }
    for descr, width in (("|b1", 1), ("|i1", 1), ("|u1", 1), ("<i2", 2), ("<u2", 2), ("<f2", 2), ("<V2", 2), ("<i4", 4), ("<u4", 4),
                         ("<i8", 8), ("<u8", 8), ("<f8", 8), ("<c8", 8), ("<U3", 12), ("|S3", 3), ("<M8[s]", 8)):
        files["type-" + descr.strip("<|")[:2]] = npy(descr, (2, 2), bytes(range(4 * width)))
    for name, data in files.items():
        seed("npy", name, data)
    for name in ("f4", "fortran", "object"):
        seed("audit", "npy-" + name, files[name])

    arrays = [(k + ".npy", npy("<f4", s, raw)) for k, (s, raw) in factors(2, 3, 4).items()]
    packed = {
        "peft": zip_file([member(k, v) for k, v in arrays]),
        "deflated": zip_file([member(k, v, True) for k, v in arrays]),
        "fortran": zip_file([member("m.lora_A.weight.npy", npy("<f4", (3, 4), f, True), True)]),
        "object": zip_file([member("a.npy", files["object"])]),
        "stray": zip_file([member("a.npy", files["f4"]), member("b.txt", b"text"), member("c.pkl", b"cos\nsystem\n(S'id'\ntR.")]),
        "same-name": zip_file([member("a.npy", files["f4"]), member("a.npy", files["fortran"])]),
        "bad-crc": zip_file([member("a.npy", files["f4"], crc=3), member("b.npy", files["f4"], True, crc=4)]),
        "bad-array": zip_file([member("a.npy", files["cut"])]),
        "big-endian": zip_file([member("a.npy", files["big-endian"], True)]),
        "mlx": zip_file([member("layers.0.q.lora_a.npy", npy("<V2", (4, 2), bytes(16))), member("layers.0.q.lora_b.npy", npy("<V2", (2, 4), bytes(16)))]),
        "empty-name": zip_file([member(".npy", files["f4"])]),
    }
    for name, data in packed.items():
        seed("npz", name, data)
    for name in ("peft", "deflated", "object"):
        seed("audit", "npz-" + name, packed[name])


# ---- GGUF ----

def gguf_string(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(raw)) + raw


SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B", 10: "<Q", 11: "<q", 12: "<d"}


def gguf_value(kind, value):
    return gguf_string(value) if kind == 8 else struct.pack(SCALARS[kind], value)


def gguf(tensors, keys=(), version=3, alignment=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys))
    for key, kind, value in keys:
        head += gguf_string(key) + struct.pack("<I", kind)
        if kind == 9:
            inner, items = value
            head += struct.pack("<IQ", inner, len(items)) + b"".join(gguf_value(inner, x) for x in items)
        else:
            head += gguf_value(kind, value)
    data = b""
    for name, kind, shape, raw in tensors:
        head += gguf_string(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", d) for d in reversed(shape))
        head += struct.pack("<IQ", kind, len(data))
        data += raw + bytes(-len(raw) % alignment)
    return head + bytes(-len(head) % alignment) + data


def make_gguf():
    keys = [("general.architecture", 8, "llama"), ("general.type", 8, "adapter"), ("adapter.type", 8, "lora"), ("adapter.lora.alpha", 6, 16.0)]
    pair = [("blk.0.attn_q.weight.lora_a", 0, (2, 5), floats(10)), ("blk.0.attn_q.weight.lora_b", 0, (6, 2), floats(12))]
    good = gguf(pair, keys)
    files = {
        "lora": good,
        "version-2": gguf(pair, keys, version=2),
        "version-1": gguf(pair, keys, version=1),
        "types": gguf(pair, [("k.%d" % k, k, 1) for k in SCALARS] + [("arr", 9, (4, [1, 2, 3])), ("words", 9, (8, ["a", "b"]))]),
        "half": gguf([("a", 1, (2, 4), bytes(16)), ("b", 30, (2, 4), bytes(16)), ("c", 28, (3,), bytes(24))], keys),
        "q8": gguf([("a", 8, (2, 32), bytes(range(68))), ("b", 2, (32,), bytes(18))], keys),
        "integers": gguf([("a", 24, (4,), b"abcd"), ("b", 25, (4,), bytes(8)), ("c", 26, (4,), bytes(16)), ("d", 27, (4,), bytes(32))]),
        "alignment": gguf(pair, keys + [("general.alignment", 4, 64)], alignment=64),
        "bad-alignment": gguf(pair, keys + [("general.alignment", 4, 3)]),
        "no-tensors": gguf([], keys),
        "same-name": gguf([pair[0], pair[0]]),
        "many": b"GGUF" + struct.pack("<IQQ", 3, 1 << 62, 1 << 62),
        "long-string": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", (1 << 64) - 1),
        "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 1, 1) + bytes(64),
        "nested-array": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_string("a") + struct.pack("<IIQ", 9, 9, 1) + bytes(32),
        "cut": good[:-17],
        "trailing": good + bytes(100),
    }
    for name, data in files.items():
        seed("gguf", name, data)
    for name in ("lora", "q8", "half"):
        seed("audit", "gguf-" + name, files[name])


# ---- the rest ----

def make_detect():
    kinds = {
        "empty": b"", "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "html": b"\xef\xbb\xbf <!DOCTYPE html><html>",
        "json": b'{"r": 8}', "text": "plain text \u00e9\n".encode(), "7z": b"7z\xbc\xaf\x27\x1c\0\4", "gzip": b"\x1f\x8b\x08\0", "png": b"\x89PNG\r\n\x1a\n\0\0",
        "jpeg": b"\xff\xd8\xff\xe0", "tar": bytes(257) + b"ustar\0" + bytes(250), "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(16),
        "hdf5-user-block": bytes(512) + b"\x89HDF\r\n\x1a\n", "old-pickle": b"(dp0\nS'a'\n", "global": b"cos\nsystem\n(", "inst": b"(ios\nsystem\n.",
        "pickle": b"\x80\x04\x95", "legacy": b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", "gguf": b"GGUF\3\0\0\0", "zip": b"PK\3\4" + bytes(26),
        "zip-empty": b"PK\5\6" + bytes(18), "npz": zip_file([member("a.npy", b"x")]), "torch": zip_file([member("r/data.pkl", b"x")]),
        "torch-later": zip_file([member("r/.format_version", b"1"), member("r/data.pkl", b"x")]), "npy": b"\x93NUMPY\1\0",
        "weak": struct.pack("<Q", 100) + b"zzz", "length-zero": bytes(8) + b' {"a"',
    }
    for name, data in kinds.items():
        seed("detect", name, data)
    for name in ("html", "lfs", "json", "hdf5"):
        seed("audit", "kind-" + name, kinds[name])


def make_json():
    texts = {
        "values": b'{"a": [1, -2.5e+3, true, false, null, "x"], "b": {}, "c": []}', "escapes": b'["\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00"]',
        "lone-surrogate": b'["\\ud800"]', "control": b'["a\nb"]', "leading-zero": b"[01]", "trailing-comma": b'{"a":1,}', "comment": b"[1 /*x*/]",
        "deep": b"[" * 70 + b"]" * 70, "deep-64": b"[" * 64 + b"]" * 64, "number": b" 18446744073709551615 ", "number-beyond": b"18446744073709551616",
        "fraction": b"1.5", "long-number": b"[" + b"1" * 80 + b"]", "utf8": '{"\u00e9\U0001f600": "\u4e2d"}'.encode(), "nul": b'["\\u0000"]', "cut": b'{"a": [1, "b',
        "two": b"{} {}", "white": b" \t\r\n[ ] ", "words": b"[nul, tru, fals]", "minus": b"[-, -0, 1e, 1.]",
    }
    for name, data in texts.items():
        seed("json", name, data)


ADAPTERS = {
    "peft": b'{"r": 4, "lora_alpha": 8, "peft_type": "LORA"}\nbase_model.model.l.0.q_proj.lora_A.weight F32 4 16\n'
            b"base_model.model.l.0.q_proj.lora_B.weight F32 8 4\n",
    "patterns": b'{"r": 4, "lora_alpha": 8, "rank_pattern": {"q_proj": 2, "(.*": 1, "l\\\\.[0-9]+": 3}, "alpha_pattern": {"v.*": 3}, '
                b'"use_rslora": true}\nl.0.q_proj.lora_A.weight F32 2 16\nl.0.q_proj.lora_B.weight F32 8 2\n',
    "kohya": b"ss_network_alpha=1\nlora_unet_a.lora_down.weight F16 4 8 3 3\nlora_unet_a.lora_up.weight F16 8 4 1 1\n"
             b"lora_unet_a.alpha F32\nlora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight BF16 4 8\n"
             b"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight BF16 8 4\n",
    "diffusers": b"unet.down_blocks.0.attn1.processor.to_q_lora.down.weight F32 4 320\nunet.down_blocks.0.attn1.processor.to_q_lora.up.weight F32 320 4\n"
                 b"unet.mid.to_k.lora.down.weight F32 4 8\nunet.mid.to_k.lora.up.weight F32 8 4\ntransformer.x.lora_A.weight F32 2 8\n"
                 b"transformer.x.lora_B.weight F32 8 2\ntransformer.x.alpha F32 1\n",
    "embedding": b"m.embed_tokens.lora_embedding_A F32 4 100\nm.embed_tokens.lora_embedding_B F32 16 4\nm.lora_magnitude_vector F32 16\n",
    "dora": b'{"use_dora": true}\nm.q.lora_A.weight F32 2 8\nm.q.lora_B.weight F32 8 2\nm.q.lora_magnitude_vector.weight F32 8\n',
    "halves": b"m.q.lora_A.weight F32 2 8\nm.k.lora_B.weight F32 8 2\nm.norm.weight F32 8\n",
    "ambiguous": b"base_model.model.m.q.lora_A.weight F32 2 8\nbase_model.model.m.q.lora_B.weight F32 8 2\n"
                 b"m.q.lora_A.weight F32 2 8\nm.q.lora_B.weight F32 8 2\nm.q.lora_A.default.weight F32 2 8\n",
    "misfits": b"m.q.lora_A.weight F32 2 8\nm.q.lora_B.weight F32 8 3\nn.q.lora_A.weight F32 0 8\nn.q.lora_B.weight F32 8 0\n"
               b"o.q.lora_A.weight I64 2 8\no.q.lora_B.weight F32 8 2\np.lora_A.weight F32 99 2\np.lora_B.weight F32 2 99\n",
    "foreign": b"m.hada_w1_a F32 8 2\nm.hada_w1_b F32 2 8\nm.hada_w2_a F32 8 2\nm.hada_w2_b F32 2 8\nn.lokr_w1 F32 2 2\nn.lokr_w2_a F32 4 2\n"
               b"n.lokr_w2_b F32 2 4\nq.oft_blocks F32 2 2 2\nr.lora_mid.weight F32 2 2 3 3\ns.diff F32 4 4\n",
    "mlx": b"model.layers.0.self_attn.q_proj.lora_a F32 16 4\nmodel.layers.0.self_attn.q_proj.lora_b F32 4 16\n",
    "gguf": b"adapter.lora.alpha=16\nblk.0.attn_q.weight.lora_a F32 4 16\nblk.0.attn_q.weight.lora_b F32 16 4\n",
    "declared": b'ss_datasets=[{"subsets":[{"img_count":10,"num_repeats":2,"is_reg":false}]}]\nss_dataset_dirs={"10_x":{"n_repeats":10,"img_count":7}}\n'
                b"ss_num_train_images=70\nss_learning_rate=1e-4\nss_steps=100\nm.lora_A F32 2 4\nm.lora_B F32 4 2\n",
    "experts": b'{"target_parameters": ["experts.gate_up_proj"]}\nm.experts.lora_A.weight F32 8 16\nm.experts.lora_B.weight F32 16 8\n',
    "cloneofsimo": b"unet:0:up F32 8 4\nunet:0:down F32 4 8\ntext_encoder:3:up F32 8 4\n",
    "lora-sb": b"m.default_lora_latent_mapping.weight F32 4 4\nm.lora_A.weight F32 4 8\nm.lora_B.weight F32 8 4\n",
    "bad-config": b'{"r": -4, "lora_alpha": "x", "rank_pattern": [1]}\nm.q.lora_A.weight F32 2 8\nm.q.lora_B.weight F32 8 2\n',
}


def main():
    make_safetensors()
    make_zip()
    make_pickle()
    make_torch()
    make_numpy()
    make_gguf()
    make_detect()
    make_json()
    for name, data in ADAPTERS.items():
        seed("adapter", name, data)


main()
