"""cases_tensors.py - safetensors, NumPy, GGUF and HDF5 files whose headers lie, files in disguise, and the controls.

case() as in cases_pickle.py.
SPDX-License-Identifier: Apache-2.0
"""
import zlib

from cases_archive import BAD, EVIL, OLD_BAD
from writers import *

FORBIDDEN, ODD_FILE, TEXT = "pickle-forbidden-global", "unreadable-file", "suspicious-metadata"


def controls(case):
    """Nothing is wrong with these: a scanner that flags everything fails here."""
    def good(name, data, trick):
        case(name, data, "control: " + trick, "ok", "-", "none", "-", "-")

    good("control.safetensors", safetensors({"format": "pt"}), "a safetensors adapter")
    good("control-torch.bin", checkpoint(), "a checkpoint as torch.save writes it")
    good("control-ordered.pt", checkpoint(proto(2) + ORDERED + MARK + pairs() + b"u}" + MARK + text("_metadata") + ORDERED + b"ub."),
         "an OrderedDict with _metadata")
    good("control-legacy.pt", legacy(), "a checkpoint as torch 1.5 writes it")
    good("control.npz", npz(), "arrays as numpy.savez writes them")
    good("control-deflated.npz", zip_bytes([member(n + ".npy", d, plain=True, packed=deflate_stored(d))
                                            for n, d in ((NAME_A, NPY_A), (NAME_B, NPY_B))]), "deflated arrays")
    good("control.gguf", gguf(), "a GGUF adapter")


def headers(case):
    """safetensors headers, in the order of the checks."""
    def broken(name, data, trick, code, source="safetensors tensor.rs"):
        case(name + ".safetensors", data, trick, "error", code, ODD_FILE, "-", source)

    def raw(text_, data=b""):
        return header_only(text_, data)

    good = safetensors()
    broken("header-seven-bytes", b"\x10\0\0\0\0\0\0", "seven bytes", "header-too-small", "test_header_too_small")
    broken("header-length-huge", u64(1 << 63) + b"{", "a header of 2^63 bytes", "header-too-large", "test_header_too_large")
    broken("header-length-100mb", u64(100000001) + b'{"a":', "a header of 100,000,001 bytes", "header-too-large", "attacks/README.md")
    broken("header-length-beyond", header_only("{}", length=60), "a header longer than the file", "header-truncated", "test_invalid_header_length")
    broken("header-length-minus-one", u64((1 << 64) - 1) + b"{}", "a length that wraps when 8 is added", "header-too-large")
    broken("header-not-utf8", raw(b'{"\xff":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), "a name that is not UTF-8", "header-not-utf8")
    broken("header-not-json", raw('{"a":}'), "no JSON", "header-not-json")
    broken("header-two-values", raw('{}{"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'), "a second value behind the header",
           "header-not-json")
    broken("header-metadata-only", raw('{},"__metadata__":{"a":"b"}'), "the header that safetensors 0.4.3 wrote without tensors", "header-not-json",
           "safetensors#466")
    broken("header-deep", raw('{"a":' + "[" * 3000 + "]" * 3000 + "}"), "3,000 arrays in each other", "header-not-json", "attacks/README.md")
    broken("header-deep-metadata", raw('{"__metadata__":' + '{"a":' * 1200 + '""' + "}" * 1200 + "}"), "1,200 objects in each other as metadata",
           "header-not-json|metadata-not-string", "attacks/README.md")
    broken("header-array", raw("[1,2,3]"), "an array instead of an object", "header-not-json")
    broken("field-missing", raw('{"a":{"dtype":"F32","shape":[1]}}', A[:4]), "no data_offsets", "header-invalid-field", "test_invalid_info")
    broken("field-negative", raw('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', A[:4]), "an axis of -1", "header-invalid-field")
    broken("field-float", raw('{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}', A[:4]), "an axis of 1.5", "header-invalid-field")
    broken("field-exponent", raw('{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', A[:4]), "an axis of 1e999", "header-invalid-field")
    broken("field-beyond-u64", raw('{"a":{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}}', A[:4]), "an axis of 2^64",
           "header-invalid-field")
    broken("field-twice", raw('{"a":{"dtype":"F32","shape":[1],"shape":[9],"data_offsets":[0,4]}}', A[:4]), "two shapes", "header-invalid-field")
    broken("field-many-axes", raw('{"a":{"dtype":"F32","shape":[%s1],"data_offsets":[0,4]}}' % ("1," * 600), A[:4]), "601 axes",
           "header-invalid-field")
    broken("name-nul", raw('{"lora_A\\u0000.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', A[:4]), "a NUL in a name",
           "header-invalid-field")
    broken("metadata-number", safetensors({"steps": 7}), "a number as metadata", "metadata-not-string", "safetensors#278")
    broken("metadata-object", safetensors({"a": {"b": "c"}}), "an object as metadata", "metadata-not-string", "safetensors#278")
    broken("metadata-twice", raw('{"__metadata__":{},"__metadata__":{"a":"b"}}'), "__metadata__ comes twice", "duplicate-tensor")
    broken("dtype-unknown", safetensors(a=entry(0, 64, SHAPE_A, "F99")), "dtype F99", "unknown-dtype")
    a = '"%s":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]}' % NAME_A
    b = '"%s":{"dtype":"F32","shape":[8,2],"data_offsets":[64,128]}' % NAME_B
    c = '"%s":{"dtype":"F32","shape":[8,2],"data_offsets":[128,192]}' % NAME_B
    broken("name-twice", raw("{%s,%s,%s}" % (a, b, c), A + B + A), "one name, two tensors", "duplicate-tensor", "safetensors#401")
    broken("name-twice-escaped", raw("{%s,%s,%s}" % (a, b, c.replace("lora_B", "lora_\\u0042")), A + B + A), "one name, once written with an escape",
           "duplicate-tensor", "safetensors#401")
    broken("name-twice-identical", raw("{%s,%s,%s}" % (a, b, b), A + B), "one entry twice", "duplicate-tensor", "safetensors#401")
    broken("offsets-reversed", safetensors(a=entry(64, 0, SHAPE_A)), "a tensor ends before it begins", "invalid-offsets")
    broken("offsets-overlap", safetensors(b=entry(32, 96, SHAPE_B), data=(A + B)[:96]), "two tensors share bytes", "tensors-overlap",
           "test_json_attack")
    broken("offsets-same", safetensors(b=entry(0, 64, SHAPE_B), data=A), "two tensors are the same bytes", "tensors-overlap", "mlx#3363")
    broken("offsets-hole", safetensors(b=entry(128, 192, SHAPE_B), data=A + BAD.ljust(64, b"\0") + B), "a pickle in a hole between two tensors",
           "unreferenced-bytes")
    broken("offsets-late", safetensors(a=entry(64, 128, SHAPE_A), b=entry(128, 192, SHAPE_B), data=BAD.ljust(64, b"\0") + A + B),
           "a pickle in front of the first tensor", "unreferenced-bytes")
    broken("offsets-huge", safetensors(b=entry(64, (1 << 64) - 1, SHAPE_B)), "a tensor ends at 2^64 - 1", "tensor-size-mismatch|file-truncated",
           "mlx#3363")
    broken("shape-overflow", safetensors(a=entry(0, 64, (2, 18446744073709551614))), "2 x 18446744073709551614", "shape-overflow",
           "test_validation_overflow")
    broken("shape-bits-overflow", safetensors(a=entry(0, 64, (2, 9223372036854775807))), "2 x 9223372036854775807: the bits overflow",
           "shape-overflow",
           "test_validation_overflow")
    broken("shape-misaligned", safetensors(more={"q": entry(128, 129, (3,), "F4")}, tail=b"x"), "three numbers of four bits", "misaligned-tensor")
    broken("shape-larger", safetensors(a=entry(0, 64, (64, 1024))), "a shape of more bytes than its range", "tensor-size-mismatch")
    broken("data-cut", good[:-4], "the last four bytes are missing", "file-truncated", "test_metadata_incomplete_buffer")
    broken("data-tail", good + b"x", "one byte too many", "trailing-bytes", "test_metadata_incomplete_buffer; ComfyUI#15602")
    broken("polyglot-zip", good + checkpoint(EVIL), "an archive with a payload behind the tensors", "trailing-bytes", "Trail of Bits audit 2023")
    broken("polyglot-pickle", good + BAD, "a pickle behind the tensors", "trailing-bytes", "Trail of Bits audit 2023")
    case("weights-nan.safetensors", safetensors(data=A[:60] + floats([float("nan")]) + B), "a NaN among the weights", "ok", "-",
         "non-finite-weights", "-",
         "safetensors: values are not checked")
    case("weights-inf-f16.safetensors", safetensors(a=entry(0, 32, SHAPE_A, "F16"), b=entry(32, 64, SHAPE_B, "F16"),
         data=floats(VALUES_A, "e") + floats(VALUES_B[:15] + [float("-inf")], "e")), "-inf among float16 weights", "ok", "-", "non-finite-weights",
         "-",
         "safetensors: values are not checked")


def words(case):
    """A working adapter whose names or metadata are aimed at whoever displays them."""
    def odd(name, data, trick, rules=TEXT, source="modelaudit samples/safetensors", ending=".safetensors"):
        case(name + ending, data, trick, "ok", "-", rules, "-", source)

    def says(key, value):
        return safetensors({"format": "pt", key: value})

    odd("metadata-script", says("description", "<script>fetch('//example.invalid')</script>"), "<script> in the metadata")
    odd("metadata-script-key", says("<script>alert(1)</script>", "x"), "<script> as a metadata key")
    odd("metadata-img-onerror", says("note", "<img src=x onerror=alert(1)>"), "an event handler in the metadata")
    odd("metadata-javascript", says("homepage", "javascript:alert(1)"), "a javascript: address")
    odd("metadata-python", says("loader", "__import__('os').system('true')"), "Python code")
    odd("metadata-exec", says("init", "exec(compile('print(1)', 'x', 'exec'))"), "exec and compile")
    odd("metadata-credentials", says("env", "AWS_SECRET_ACCESS_KEY=" + "EXAMPLE" * 5 + "EXAMP"), "a credential: the example key of no account")
    odd("metadata-private-key", says("key", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"), "a private key without a key")
    odd("metadata-traversal", says("config", "../../../../etc/passwd"), "a path that climbs")
    odd("metadata-escape", says("title", "\x1b[2J\x1b]0;loraudit\x07"), "terminal escapes in the metadata")
    odd("metadata-direction", says("title", "\u202egnp.exe"), "a right-to-left override")
    odd("metadata-pickle", says("blob", "gASVHgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAR0cnVllIWUUpQu"), "a pickle in base64",
        source="modelaudit nested_pickle")

    def called(path):
        return safetensors(names=(path + ".lora_A.weight", path + ".lora_B.weight"))

    odd("name-escape", called("\x1b[31mmodel\x1b[0m.q_proj"), "terminal escapes in a tensor's name")
    odd("name-script", called("model.<script>alert(1)</script>.q_proj"), "<script> in a tensor's name")
    odd("name-traversal", called("../../../../tmp/evil"), "a path that climbs in a tensor's name")
    odd("name-absolute", called("/etc/passwd"), "an absolute path as a tensor's name")
    odd("name-direction", called("model.\u202eq_proj"), "a right-to-left override in a tensor's name")
    odd("name-newline", called("model.q_proj\nloraudit: ok"), "a line break in a tensor's name")
    odd("torch-name-script", checkpoint(proto(2) + b"}" + MARK + text("<script>alert(1)</script>.lora_A.weight") + tensor("0", SHAPE_A)
        + text("<script>alert(1)</script>.lora_B.weight") + tensor("1", SHAPE_B) + b"u."), "<script> in a tensor's name", ending=".bin")
    odd("torch-metadata-python", checkpoint(state_dict(extra=[("note", text("__import__('os').system('true')"))])), "Python code beside the tensors",
        ending=".bin")
    odd("gguf-metadata-script", gguf([("general.description", STRING, gstr("<script>alert(1)</script>"))]), "<script> in a key-value", ending=".gguf")


def arrays(case):
    """NumPy files."""
    def broken(name, data, trick, code="invalid-npy-header", rules=ODD_FILE, source="numpy/lib/format.py", status="error", subject="-"):
        case(name, data, trick, status, code, rules, subject, source)

    def a(**kw):
        return npz(a=npy(A, SHAPE_A, **kw))

    objects = npy(proto(3) + call(glob("os", "system"), text("true")) + STOP, (1,), "|O")
    case("object-array.npz", npz([member("extra.npy", objects, plain=True)]), "an array of objects is a pickle", "ok", "-", FORBIDDEN, "os.system",
         "picklescan object_arrays.npz")
    case("object-array-deflated.npz", npz([member("extra.npy", objects, plain=True, packed=deflate_stored(objects))]), "a deflated array of objects",
         "ok", "-", FORBIDDEN, "os.system", "picklescan object_arrays_compressed.npz")
    case("object-array.npy", objects, "a lone array of objects", "not_lora|error|unsupported",
         "-|invalid-npy-header|unsupported-container|unknown-dtype",
         FORBIDDEN, "os.system", "modelaudit dns_exfiltration.npy")
    structured = npy(BAD, (1,), header="{'descr': [('x', '|O')], 'fortran_order': False, 'shape': (1,), }")
    case("object-field.npz", npz([member("extra.npy", structured, plain=True)]), "a record dtype with a field of objects", "ok|error",
         "-|invalid-npy-header|unknown-dtype", FORBIDDEN + "|unreadable-file", "-", "numpy/lib/format.py")
    case("pickle-named-npy.npz", npz([member("extra.npy", BAD, plain=True)]), "a pickle called extra.npy: numpy.load falls back to pickle",
         "ok|error",
         "-|invalid-npy-header", FORBIDDEN, "os.system", "numpy/lib/npyio.py")
    case("pickle-member.npz", npz([member("extra.pkl", BAD, plain=True)]), "a pickle in an npz", "ok|error", "-|invalid-npy-header",
         FORBIDDEN + "," + "archive-stray-member|unreadable-file", "os.system", "numpy/lib/npyio.py")
    broken("npy-shape-beyond.npz", npz(a=npy(A, (2, 1 << 40))), "a shape beyond the data", "file-truncated|invalid-npy-header")
    broken("npy-shape-overflow.npz", npz(a=npy(A, (1 << 62, 1 << 62))), "a shape whose product overflows", "shape-overflow|invalid-npy-header")
    broken("npy-shape-negative.npz", a(header="{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -8), }"), "a shape of -2 x -8")
    broken("npy-shape-text.npz", a(header="{'descr': '<f4', 'fortran_order': False, 'shape': 'x', }"), "a shape that is a text")
    broken("npy-header-huge.npz", a(version=2, header_length=0xFFFFFFF0), "a header of 4 GB", "invalid-npy-header|file-truncated")
    broken("npy-header-beyond.npz", a(header_length=65535), "a header longer than the member", "invalid-npy-header|file-truncated")
    broken("npy-header-code.npz", a(header="__import__('os').system('true') or {'descr': '<f4', 'fortran_order': False, 'shape': (2, 8)}"),
           "a header that is code: old readers called eval")
    broken("npy-header-call.npz", a(header="{'descr': '<f4', 'fortran_order': False, 'shape': (2, print(8))}"), "a call inside the shape")
    broken("npy-header-deep.npz", a(header="{'descr': " + "(" * 4000 + ")" * 4000 + "}"), "4,000 tuples in the header",
           "invalid-npy-header|unknown-dtype", source="CPython ast.literal_eval")
    broken("npy-header-keys.npz", a(header="{'descr': '<f4', 'fortran_order': False, 'shape': (2, 8), 'shape': (4, 4), 'x': 1}"),
           "two shapes, one key too many")
    broken("npy-version.npz", a(version=9), "version 9")
    broken("npy-descr.npz", a(descr="<q9"), "dtype <q9", "unknown-dtype|invalid-npy-header")
    broken("npy-tail.npz", npz(a=NPY_A + BAD), "a pickle behind the entries", "trailing-bytes", ODD_FILE)
    broken("npy-cut.npz", npz(a=NPY_A[:-4]), "the last four bytes are missing", "file-truncated")
    broken("npy-name-twice.npz", npz([member(NAME_A + ".npy", NPY_B, plain=True)]), "two members of one name", "duplicate-tensor|invalid-zip-member",
           ODD_FILE)
    runs = 37000
    zeros = npy(bytes(1 + 258 * runs), (2, (1 + 258 * runs) // 8))
    head = len(zeros) - 1 - 258 * runs
    bomb = b"\0" + u16(head) + u16(head ^ 0xFFFF) + zeros[:head] + deflate_zeros(runs)
    broken("npy-bomb.npz", npz(a=NPY_A, extra=[member("x.npy", zeros, plain=True, packed=bomb)]), "9.5 MB in 9 KB",
           "-|inflates-too-large|trailing-bytes",
           "stray-tensors|archive-stray-member|unreadable-file", "zip bomb", "ok|error")
    case("npz-traversal.npz", npz([member("../../evil.npy", NPY_A, plain=True)]), "a member whose name climbs", "ok", "-", "archive-traversal-name",
         "-",
         "modelaudit path_traversal.zip")
    case("npz-weights-inf.npz", npz(b=npy(B[:60] + floats([float("inf")]), SHAPE_B)), "an infinity among the weights", "ok", "-",
         "non-finite-weights", "-",
         "IEEE 754")
    case("npz-crc.npz", zip_bytes([member(NAME_A + ".npy", NPY_A, plain=True, crc=9), member(NAME_B + ".npy", NPY_B, plain=True)]), "a wrong CRC",
         "ok|error", "-|checksum-mismatch|read-failed", "checksum-mismatch|unreadable-file", "-", "CVE-2025-10156")


def ggufs(case):
    """GGUF files, in the order of the checks of gguf.cpp."""
    def broken(name, data, trick, code="invalid-gguf", source="ggml gguf.cpp", status="error", rules=ODD_FILE):
        case("gguf-%s.gguf" % name, data, trick, status, code, rules, "-", source)

    a, b = ("blk.0.attn_q.weight.lora_a", (8, 2), 0, 0), ("blk.0.attn_q.weight.lora_b", (2, 8), 0, 64)

    def first(name=a[0], dims=a[1], kind=0, offset=0):
        return gguf(tensors=[(name, dims, kind, offset), b])

    broken("magic-only", b"GGUF", "the magic and nothing else", "invalid-gguf|file-truncated")
    broken("version-0", gguf(version=0), "version 0")
    broken("version-1", gguf(version=1), "version 1")
    broken("version-99", gguf(version=99), "version 99")
    broken("version-swapped", gguf(version=b"\0\0\0\3"), "version 3 in the other byte order")
    many = "invalid-gguf|too-many-tensors|file-truncated"
    broken("tensors-2-60", gguf(n_tensors=1 << 60), "2^60 tensors", many)
    broken("tensors-negative", gguf(n_tensors=(1 << 64) - 1), "-1 tensors", many)
    broken("kv-2-60", gguf(n_kv=1 << 60), "2^60 key-values", many)
    broken("key-length-2-63", gguf(n_kv=5)[:24] + u64(1 << 63) + b"x" * 64, "a key of 2^63 bytes", "invalid-gguf|file-truncated", "CVE-2024-21802")
    broken("string-length-2-63", gguf([("general.name", STRING, u64(1 << 63) + b"x")]), "a string of 2^63 bytes", "invalid-gguf|file-truncated")
    broken("string-length-minus-one", gguf([("general.name", STRING, u64((1 << 64) - 1) + b"x")]), "a length that wraps when 1 is added for the NUL",
           "invalid-gguf|file-truncated")
    broken("array-2-60", gguf([("x", ARRAY, u32(U8) + u64(1 << 60))]), "an array of 2^60 bytes", "invalid-gguf|file-truncated")
    broken("array-wraps", gguf([("x", ARRAY, u32(U64) + u64(1 << 61))]), "an array whose bytes wrap to 0", "invalid-gguf|file-truncated",
           "ggml #19856")
    broken("array-nested", gguf([("x", ARRAY, u32(ARRAY) + u64(1) + u32(ARRAY) + u64(1) + u32(U8) + u64(1) + b"\1")]), "arrays in arrays")
    broken("array-type", gguf([("x", ARRAY, u32(77) + u64(1) + b"\1")]), "an array of type 77")
    broken("key-empty", gguf([("", U8, b"\1")]), "a key without a name")
    broken("key-twice", gguf([("adapter.lora.alpha", F32, floats([64.0]))]), "one key twice", "invalid-gguf|duplicate-tensor")
    broken("kv-type", gguf([("x", 13, b"\1")]), "a value of type 13")
    for n in (0, 3, 0x80000000):
        broken("alignment-%d" % n, gguf([("general.alignment", U32, u32(n))]), "an alignment of %d" % n, "invalid-gguf|file-truncated")
    broken("alignment-u64", gguf([("general.alignment", U64, u64(32))]), "an alignment of another type")
    broken("name-64", first("x" * 64 + ".lora_a"), "a tensor's name of 71 bytes")
    broken("name-twice", gguf(tensors=[a, (a[0], b[1], 0, 64)]), "one tensor twice", "duplicate-tensor")
    broken("dims-5", first(dims=(8, 2, 1, 1, 1)), "five axes")
    broken("dims-huge-count", gguf().replace(gstr(a[0]) + u32(2), gstr(a[0]) + u32(0xFFFFFFFF)), "2^32 - 1 axes",
           "invalid-gguf|file-truncated")
    broken("dims-zero", first(dims=(0, 2)), "an axis of 0", "-|invalid-gguf", status="ok|error|unsupported|not_lora", rules="any")
    broken("dims-negative", first(dims=(-8, 2)), "an axis of -8", "invalid-gguf|shape-overflow")
    broken("dims-overflow", first(dims=(1 << 33, 1 << 33)), "2^33 x 2^33 entries", "invalid-gguf|shape-overflow", "CVE-2026-33298")
    broken("dims-bytes-overflow", first(dims=((1 << 61) + 16, 2)), "entries fit 64 bits, their bytes wrap to 128", "invalid-gguf|shape-overflow",
           "CVE-2026-33298")
    broken("type-999", first(kind=999), "a tensor of type 999", "invalid-gguf|unknown-dtype")
    broken("type-removed", first(kind=4), "a tensor of type 4, removed from ggml", "invalid-gguf|unknown-dtype")
    broken("block-broken", first(dims=(33, 2), kind=8), "33 numbers in blocks of 32")
    broken("offset-overlap", gguf(tensors=[a, b[:3] + (0,)]), "two tensors at one offset", "invalid-gguf|tensors-overlap")
    broken("offset-gap", gguf(tensors=[a, b[:3] + (128,)], data=A + bytes(64) + B), "a gap between two tensors", "invalid-gguf|unreferenced-bytes")
    broken("offset-misaligned", gguf(tensors=[a, b[:3] + (65,)]), "an offset of 65")
    broken("offset-huge", gguf(tensors=[a, b[:3] + ((1 << 64) - 32,)]), "an offset of 2^64 - 32", "invalid-gguf|file-truncated")
    broken("data-cut", gguf()[:-8], "the last eight bytes are missing", "file-truncated|invalid-gguf")
    broken("data-tail", gguf() + BAD, "a pickle behind the tensors", "trailing-bytes")
    broken("polyglot-zip", gguf() + checkpoint(EVIL), "an archive with a payload behind the tensors", "trailing-bytes")
    case("gguf-weights-nan.gguf", gguf(data=A + B[:60] + floats([float("nan")])), "a NaN among the weights", "ok", "-", "non-finite-weights", "-",
         "IEEE 754")


def seven_zip(name, data):
    """A 7z archive with one file, stored."""
    folder = b"\x0b\1\0\1\1\0" + b"\x0c" + bytes([len(data)]) + b"\x0a\1" + u32(zlib.crc32(data)) + b"\0"
    packed = b"\6\0\1\x09" + bytes([len(data)]) + b"\0"
    title = name.encode("utf-16-le") + b"\0\0"
    header = b"\1\4" + packed + b"\7" + folder + b"\0" + b"\5\1\x11" + bytes([len(title) + 1]) + b"\0" + title + b"\0\0"
    start = u64(len(data)) + u64(len(header)) + u32(zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + u32(zlib.crc32(start)) + start + data + header


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"\x78\1" + deflate_stored(b"\0\x80") + struct.pack(">I", zlib.adler32(b"\0\x80"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def disguises(case):
    """Files that are not what they are called."""
    def other(name, data, trick, code="unknown-format", source="-", rules=ODD_FILE, status="error", subject="-"):
        case(name, data, trick, status, code, rules, subject, source)

    other("is-empty.safetensors", b"", "an empty file", "empty-file")
    other("is-empty.bin", b"", "an empty file", "empty-file")
    other("is-png.pt", png(), "a PNG image", source="modelscan test_modelscan.py: Owl_Mage_no_background.pt")
    other("is-7z.pt", seven_zip("data.pkl", BAD), "a 7z archive with a pickle", source="nullifAI; picklescan malicious1.7z")
    other("is-gzip.bin", b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflate_stored(BAD) + u32(zlib.crc32(BAD)) + u32(len(BAD)), "a gzip stream with a pickle")
    other("is-html.safetensors", b"<!DOCTYPE html><html><body>404: entry not found</body></html>\n", "a web page")
    other("is-json.safetensors", b'{"error": "repository not found"}\n', "a JSON text")
    other("is-lfs-pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 128\n", "a git-lfs pointer",
          "git-lfs-pointer")
    other("is-lfs-pointer.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"1" * 64 + b"\nsize 128\n", "a git-lfs pointer",
          "git-lfs-pointer")
    other("is-python.bin", b"#!/usr/bin/env python3\nimport os\nos.system('true')\n", "a Python script")
    other("is-hdf5.h5", b"\x89HDF\r\n\x1a\n" + bytes(504), "an HDF5 file, which needs --trust-hdf5", "hdf5-not-trusted|unsupported-container",
          "libhdf5 makes no promise on hostile files", status="error|unsupported")
    other("is-hdf5.safetensors", b"\x89HDF\r\n\x1a\n" + bytes(504), "an HDF5 file called safetensors", "hdf5-not-trusted|unsupported-container",
          status="error|unsupported")

    both, named = FORBIDDEN + ",extension-mismatch", "unknown-format|not-a-state-dict|unsupported-container"
    other("is-pickle.safetensors", BAD, "a pickle called safetensors", named, "CVE-2025-10155", both, "error|unsupported", "os.system")
    other("is-pickle-protocol-0.safetensors", OLD_BAD, "a pickle of protocol 0 called safetensors", named, "CVE-2025-10155", both,
          "error|unsupported",
          "os.system")
    other("is-torch.safetensors", checkpoint(EVIL), "a torch checkpoint called safetensors", "-", "CVE-2025-10155", both, "ok", "os.system")
    other("is-legacy.safetensors", legacy(), "a legacy checkpoint called safetensors", "-", "CVE-2025-10155", "extension-mismatch", "ok")
    other("is-torch.gguf", checkpoint(EVIL), "a torch checkpoint called gguf", "-", "CVE-2025-10155", both, "ok", "os.system")
    other("is-torch.npz", checkpoint(EVIL), "a torch checkpoint called npz", "-", "CVE-2025-10155", both, "ok", "os.system")
    other("is-npz.safetensors", npz(), "an npz called safetensors", "-", "CVE-2025-10155", "extension-mismatch", "ok")
    other("is-gguf.safetensors", gguf(), "a GGUF file called safetensors", "-", "CVE-2025-10155", "extension-mismatch", "ok")
    other("is-torch.md", checkpoint(EVIL), "a torch checkpoint called md: found by its content", "-", "CVE-2025-1889", FORBIDDEN, "ok", "os.system")


def cases(case):
    for group in (controls, headers, words, arrays, ggufs, disguises):
        group(case)
