"""writers.py - the plain parts of the corpus: pickles, archives, tensors and headers, written byte for byte.

Every writer has the knobs that an attacker would turn: a field of a header can be given another value than its own.
Nothing here depends on the date, on a library's version or on the order of a set: zlib is not used for its compressor,
only for CRC-32, because compressors differ.
SPDX-License-Identifier: Apache-2.0
"""
import json
import struct
import zlib


def u16(n):
    return struct.pack("<H", n)


def u32(n):
    return struct.pack("<I", n)


def u64(n):
    return struct.pack("<Q", n)


def floats(values, code="f"):
    return struct.pack("<%d%s" % (len(values), code), *values)


# ---- the adapter that every file carries where it can: one module, rank 2, A (2 x 8) and B (8 x 2) ----

PATH = "base_model.model.model.layers.0.self_attn.q_proj.lora_"
NAME_A, NAME_B = PATH + "A.weight", PATH + "B.weight"
SHAPE_A, SHAPE_B = (2, 8), (8, 2)
VALUES_A = [((7 * i * i + 3 * i) % 31 - 15) / 64 for i in range(16)]
VALUES_B = [((5 * i * i + 11 * i) % 29 - 14) / 128 for i in range(16)]
A, B = floats(VALUES_A), floats(VALUES_B)

# ---- pickles, opcode by opcode; names as in Lib/pickletools.py ----

MARK, STOP, POP, REDUCE, BUILD = b"(", b".", b"0", b"R", b"b"


def proto(n):
    return b"\x80" + bytes([n])


def glob(module, name):
    return b"c%s\n%s\n" % (module.encode(), name.encode())


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return b"X" + u32(len(s)) + s


def short(s):
    return b"\x8c" + bytes([len(s)]) + s.encode()


def integer(n):
    if 0 <= n < 256:
        return b"K" + bytes([n])
    if 0 <= n < 65536:
        return b"M" + u16(n)
    if -(1 << 31) <= n < 1 << 31:
        return b"J" + struct.pack("<i", n)
    raw = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def tup(*items):
    return MARK + b"".join(items) + b"t"


def ints(values):
    return tup(*[integer(n) for n in values])


def call(function, *arguments):
    return function + tup(*arguments) + REDUCE


def run(module="os", name="system", *arguments):
    """A payload: a call, thrown away, so that the object around it stays as it was."""
    return call(glob(module, name), *(arguments or (text("true"),))) + POP


ORDERED = call(glob("collections", "OrderedDict"))


def storage(key, numel, cls=None, tail=b""):
    cls = cls or glob("torch", "FloatStorage")
    return tup(text("storage"), cls, text(key), text("cpu"), integer(numel), tail) + b"Q"


def tensor(key, shape, numel=16, offset=0, stride=None, stored=None):
    stride = stride or [shape[1], 1]
    return call(glob("torch._utils", "_rebuild_tensor_v2"), stored or storage(key, numel), integer(offset), ints(shape),
                ints(stride), b"\x89", ORDERED)


def pairs(a=None, b=None, extra=()):
    items = [(NAME_A, a or tensor("0", SHAPE_A)), (NAME_B, b or tensor("1", SHAPE_B)), *extra]
    return b"".join(text(k) + v for k, v in items)


def state_dict(before=b"", protocol=2, after=b"", **kw):
    """A pickled state dict; `before` and `after` leave the stack as they found it."""
    return proto(protocol) + before + b"}" + MARK + pairs(**kw) + b"u" + after + STOP


# ---- deflate without a compressor ----

def deflate_stored(data):
    out = b""
    for at in range(0, len(data) or 1, 65535):
        part = data[at:at + 65535]
        out += bytes([at + 65535 >= len(data)]) + u16(len(part)) + u16(len(part) ^ 0xFFFF) + part
    return out


def deflate_zeros(runs):
    """1 + 258 * runs zeros at two bits a run: one dynamic block whose codes are 285 -> 1 bit, 0 and 256 -> 2 bits."""
    bits = []

    def put(value, n):
        bits.extend(value >> i & 1 for i in range(n))

    put(1, 1), put(2, 2)
    put(286 - 257, 5), put(0, 5), put(18 - 4, 4)  # HLIT, HDIST, HCLEN
    lengths = {18: 1, 1: 2, 2: 2}  # code of the code lengths: 18 -> 0, 1 -> 10, 2 -> 11
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1]:
        put(lengths.get(symbol, 0), 3)

    def length_code(symbol):
        for bit in {18: (0,), 1: (1, 0), 2: (1, 1)}[symbol]:
            put(bit, 1)

    def zero_run(n):
        length_code(18), put(n - 11, 7)

    length_code(2), zero_run(138), zero_run(117), length_code(2), zero_run(28), length_code(1)  # 0, 256, 285
    length_code(1)  # the one distance, 1
    put(1, 1), put(0, 1)  # literal 0: code 10
    for _ in range(runs):
        put(0, 1), put(0, 1)
    put(1, 1), put(1, 1)  # 256: code 11
    bits += [0] * (-len(bits) % 8)
    return bytes(sum(bits[i + j] << j for j in range(8)) for i in range(0, len(bits), 8))


# ---- zip archives ----

def member(name, data, **knobs):
    """Knobs: packed, method; local_name, local_flags, local_crc, local_sizes; flags, crc, stored, size, offset, disk, extra,
    comment in the directory; before: bytes in front of the local header; listed, present; plain: no data descriptor."""
    return dict(knobs, name=name, data=data)


def zip_bytes(members, prefix=b"", base=None, comment=b"", tail=b"", before_directory=b"", zip64=None, **end):
    """end: n_here, n, directory_bytes, directory_at, comment_bytes of the end record. base: what offsets count from.
    zip64(n, directory bytes, directory offset, its own place) gives the records in front of the end record."""
    out, directory, n = bytearray(prefix), b"", 0
    base = 0 if base is None else base
    for m in members:
        name = m["name"] if isinstance(m["name"], bytes) else m["name"].encode()
        data = m["data"]
        packed = m.get("packed", data)
        method = m.get("method", 0 if packed is data else 8)
        crc = m.get("crc", zlib.crc32(data))
        sizes = m.get("stored", len(packed)), m.get("size", len(data))
        flags = m.get("flags", 0 if m.get("plain") else 0x0808)
        out += m.get("before", b"")
        at = len(out)
        if m.get("present", True):
            local = m.get("local_name", name)
            if m.get("plain"):
                fields = u32(m.get("local_crc", crc)) + b"".join(map(u32, m.get("local_sizes", [s & 0xFFFFFFFF for s in sizes])))
                extra = b""
            else:
                fields = u32(m.get("local_crc", 0)) + b"".join(map(u32, m.get("local_sizes", (0, 0))))
                pad = -(at + 30 + len(local) + 4) % 64
                extra = b"FB" + u16(pad) + b"Z" * pad
            out += b"PK\3\4" + u16(0) + u16(m.get("local_flags", flags)) + u16(m.get("local_method", method)) + bytes(4)
            out += fields + u16(len(local)) + u16(len(extra)) + local + extra + packed
            if not m.get("plain"):
                out += m.get("descriptor", b"PK\7\10" + u32(crc) + u32(len(packed)) + u32(len(data)))
        if m.get("listed", True):
            extra, note = m.get("extra", b""), m.get("comment", b"")
            directory += b"PK\1\2" + u16(0) + u16(0) + u16(flags) + u16(method) + bytes(4) + u32(crc)
            directory += b"".join(u32(s & 0xFFFFFFFF) for s in sizes) + u16(len(name)) + u16(len(extra)) + u16(len(note))
            directory += u16(m.get("disk", 0)) + u16(0) + u32(0) + u32((m.get("offset", at - base)) & 0xFFFFFFFF)
            directory += name + extra + note
            n += 1
    out += before_directory
    at = len(out) - base
    out += directory
    if zip64:
        out += zip64(n, len(directory), at, len(out) - base)
    out += b"PK\5\6" + u16(0) + u16(0) + u16(end.get("n_here", end.get("n", n))) + u16(end.get("n", n))
    out += u32(end.get("directory_bytes", len(directory))) + u32(end.get("directory_at", at))
    return bytes(out + u16(end.get("comment_bytes", len(comment))) + comment + tail)


def zip64_records(n, size, at, place, locator=None):
    record = b"PK\6\6" + u64(44) + u16(45) + u16(45) + u32(0) + u32(0) + u64(n) + u64(n) + u64(size) + u64(at)
    return record + b"PK\6\7" + u32(0) + u64(place if locator is None else locator) + u32(1)


def checkpoint(pickle=None, extra=(), root="archive", storages=None, knobs=None, drop=(), **kw):
    """A torch zip checkpoint with the members, order and flags of torch.save. knobs: {member: {knob: value}}."""
    storages = {"0": A, "1": B} if storages is None else storages
    names = [("data.pkl", state_dict() if pickle is None else pickle), ("byteorder", b"little")]
    names += [("data/" + k, v) for k, v in storages.items()]
    names += [("version", b"3\n"), (".data/serialization_id", b"0" * 40)]
    knobs = knobs or {}
    members = [member("%s/%s" % (root, n), d, **knobs.get(n, {})) for n, d in names if n not in drop]
    return zip_bytes(members + list(extra), **kw)


# ---- torch before zip ----

LEGACY_MAGIC = proto(2) + b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + STOP


def legacy(obj=None, info=None, keys=None, stores=None, magic=LEGACY_MAGIC, protocol=None, tail=b""):
    view = b"N"
    a, b = tensor("0", SHAPE_A, stored=storage("0", 16, tail=view)), tensor("1", SHAPE_B, stored=storage("1", 16, tail=view))
    sizes = b"}" + MARK + text("short") + integer(2) + text("int") + integer(4) + text("long") + integer(4) + b"u"
    info = info if info is not None else (proto(2) + b"}" + MARK + text("protocol_version") + integer(1001)
                                          + text("little_endian") + b"\x88" + text("type_sizes") + sizes + b"u.")
    obj = obj if obj is not None else state_dict(a=a, b=b)
    keys = keys if keys is not None else proto(2) + b"]" + MARK + text("0") + text("1") + b"e."
    stores = stores if stores is not None else u64(16) + A + u64(16) + B
    protocol = protocol if protocol is not None else proto(2) + integer(1001) + STOP
    return magic + protocol + info + obj + keys + stores + tail


# ---- NumPy ----

def npy(data, shape, descr="<f4", header=None, version=1, header_length=None):
    if header is None:
        header = "{'descr': %r, 'fortran_order': False, 'shape': (%s), }" % (descr, "".join("%d, " % n for n in shape))
    raw = header.encode()
    raw += b" " * (-(10 + len(raw) + 1) % 64) + b"\n"
    length = len(raw) if header_length is None else header_length
    return b"\x93NUMPY" + bytes([version, 0]) + (u16(length) if version == 1 else u32(length)) + raw + data


NPY_A, NPY_B = npy(A, SHAPE_A), npy(B, SHAPE_B)


def npz(extra=(), a=NPY_A, b=NPY_B, **kw):
    names = [(NAME_A + ".npy", a), (NAME_B + ".npy", b)]
    return zip_bytes([member(n, d, plain=True) for n, d in names] + list(extra), **kw)


# ---- safetensors ----

def header_only(raw, data=b"", length=None):
    raw = raw if isinstance(raw, bytes) else raw.encode()
    return u64(len(raw) if length is None else length) + raw + data


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def safetensors(metadata=None, names=(NAME_A, NAME_B), a=None, b=None, more=None, data=None, tail=b""):
    header = {} if metadata is None else {"__metadata__": metadata}
    header[names[0]] = a or entry(0, 64, SHAPE_A)
    header[names[1]] = b or entry(64, 128, SHAPE_B)
    header.update(more or {})
    raw = json.dumps(header, separators=(",", ":")).encode()
    return header_only(raw + b" " * (-len(raw) % 8), (A + B if data is None else data) + tail)


# ---- GGUF ----

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64 = range(11)


def gstr(s):
    s = s if isinstance(s, bytes) else s.encode()
    return u64(len(s)) + s


GGUF_KV = [("general.type", STRING, gstr("adapter")), ("general.architecture", STRING, gstr("llama")),
           ("adapter.type", STRING, gstr("lora")), ("adapter.lora.alpha", F32, floats([2.0]))]


def gguf(kv=(), tensors=None, n_tensors=None, n_kv=None, version=3, data=None, magic=b"GGUF", align=32):
    """tensors: (name, dims fastest first, type, offset)."""
    kv = GGUF_KV + list(kv)
    if tensors is None:
        tensors = [("blk.0.attn_q.weight.lora_a", (8, 2), 0, 0), ("blk.0.attn_q.weight.lora_b", (2, 8), 0, 64)]
    out = magic + (u32(version) if isinstance(version, int) else version)
    out += u64(len(tensors) if n_tensors is None else n_tensors) + u64(len(kv) if n_kv is None else n_kv)
    for key, kind, value in kv:
        out += gstr(key) + u32(kind) + value
    for name, dims, kind, offset in tensors:
        out += gstr(name) + u32(len(dims)) + b"".join(u64(d & (1 << 64) - 1) for d in dims) + u32(kind) + u64(offset)
    return out + bytes(-len(out) % align) + (A + B if data is None else data)
