"""cases_archive.py - what an archive can hide, and where its two directories can disagree.

case() as in cases_pickle.py.
SPDX-License-Identifier: Apache-2.0
"""
import io
import tarfile

from writers import *

FORBIDDEN, ODD_FILE = "pickle-forbidden-global", "unreadable-file"
CONFLICT, HIDDEN, STRAY = "archive-conflict", "archive-hidden-data", "archive-stray-member"
BAD = proto(2) + call(glob("os", "system"), text("true")) + STOP
OLD_BAD = b"cos\nsystem\n(Vtrue\ntR."
EVIL = state_dict(run())  # a working adapter with a payload
APPNOTE = "PKWARE APPNOTE 6.3.10"
ZIP_ERRORS = "invalid-zip|invalid-zip-member"


def hiding(case):
    """A payload in a place where nobody looks for a pickle."""
    def seen(name, data, trick, rules=FORBIDDEN, status="ok", code="-", subject="os.system", source="picklescan"):
        case(name, data, trick, status, code, rules, subject, source)

    also = FORBIDDEN + "," + STRAY
    seen("member-data-txt.bin", checkpoint(extra=[member("archive/data.txt", BAD)]), "a pickle called data.txt", also,
         source="CVE-2025-1889, picklescan malicious1_wrong_ext")
    seen("member-protocol-0-txt.bin", checkpoint(extra=[member("archive/notes.txt", OLD_BAD)]), "a pickle of protocol 0 called notes.txt",
         also, source="CVE-2025-10155")
    seen("member-readme-md.bin", checkpoint(extra=[member("archive/README.md", BAD)]), "a pickle called README.md", also,
         source="CVE-2025-1889")
    seen("member-data-pkl-elsewhere.bin", checkpoint(extra=[member("other/data.pkl", BAD)]), "a data.pkl in a second root", also)
    seen("member-data-pkl-no-root.bin", checkpoint(extra=[member("data.pkl", BAD)]), "a data.pkl without a root", also)
    seen("member-constants-pkl.pt", checkpoint(extra=[member("archive/constants.pkl", BAD)]), "the constants.pkl of TorchScript", also)
    seen("member-unused-storage.bin", checkpoint(storages={"0": A, "1": B, "7": BAD}), "a storage that no tensor uses is a pickle",
         source="GHSA-jgw4-cr84-mqxg")
    seen("member-version.bin", checkpoint(drop=["version"], extra=[member("archive/version", BAD)]), "the record version is a pickle",
         status="ok|error", code="-|invalid-zip-member")
    seen("member-byteorder.bin", checkpoint(drop=["byteorder"], extra=[member("archive/byteorder", BAD)]), "the record byteorder is a pickle",
         status="ok|error", code="-|invalid-zip-member|not-a-state-dict")
    seen("member-serialization-id.bin", checkpoint(drop=[".data/serialization_id"], extra=[member("archive/.data/serialization_id", BAD)]),
         "the record serialization_id is a pickle")
    seen("member-deflated.bin", checkpoint(knobs={"data.pkl": {"packed": deflate_stored(EVIL)}}, pickle=EVIL), "data.pkl is deflated")
    seen("member-deflated-stray.bin", checkpoint(extra=[member("archive/x.json", BAD, packed=deflate_stored(BAD))]),
         "a deflated pickle called x.json", also)
    seen("member-inner-archive.bin", checkpoint(extra=[member("archive/inner.zip", checkpoint(EVIL))]), "an archive in the archive", STRAY,
         subject="-")
    seen("member-cased.bin", checkpoint(extra=[member("archive/DATA.PKL", BAD)]),
         "DATA.PKL beside data.pkl: miniz does not tell them apart, and loads it", FORBIDDEN + "," + CONFLICT)
    seen("torchscript.pt", checkpoint(proto(2) + b"}" + MARK + pairs() + text("m") + glob("__torch__", "Module") + b")\x81u.",
         extra=[member("archive/code/__torch__.py", b"class Module(Module):\n  def forward(self, x):\n    return x\n"),
                member("archive/constants.pkl", proto(2) + b").")]),
         "a TorchScript archive: code/*.py", STRAY + "," + FORBIDDEN, "ok|error", "-|not-a-state-dict", "__torch__.Module", "fickling polyglot.py")
    none = dict(rules=FORBIDDEN + "," + ODD_FILE, status="error|unsupported",
                code=ZIP_ERRORS + "|not-a-state-dict|unknown-format|unsupported-container", source="fickling polyglot.py")
    seen("torchscript-1-1.pt", zip_bytes([member("m/version", b"1\n"), member("m/model.json", b"{}"), member("m/attributes.pkl", BAD)]),
         "TorchScript 1.1: attributes.pkl and no data.pkl", **none)
    seen("model-archive.bin", zip_bytes([member("MAR-INF/MANIFEST.json", b"{}"), member("model.pkl", BAD)]), "a TorchServe archive with a pickle",
         **none)
    seen("zip-of-pickle.bin", zip_bytes([member("payload", BAD, plain=True)]), "an archive whose one member is a pickle", **none)
    seen("code-member.bin", checkpoint(extra=[member("archive/code/run.py", b"import os\nos.system('true')\n")]), "a Python file in the archive",
         STRAY, subject="-")

    hidden = member("archive/data.pkl", BAD, listed=False)
    seen("hidden-member.bin", checkpoint(extra=[hidden]), "a member that the directory does not list", HIDDEN, subject="-",
         source=APPNOTE)
    seen("hidden-member-first.bin", zip_bytes([member("archive/data.pkl", EVIL, listed=False)]
         + [member("archive/" + n, d) for n, d in (("data.pkl", state_dict()), ("data/0", A), ("data/1", B), ("version", b"3\n"))]),
         "a data.pkl in front of the listed one: readers that go from the front find it", HIDDEN, subject="-", source=APPNOTE)
    seen("gap-before-member.bin", checkpoint(knobs={"data/1": {"before": BAD}}), "a pickle between two members", HIDDEN, subject="-", source=APPNOTE)
    seen("gap-before-directory.bin", checkpoint(before_directory=BAD * 3), "pickles between the last member and the directory", HIDDEN,
         subject="-", source=APPNOTE)
    front = checkpoint(EVIL)
    seen("archive-in-front.bin", checkpoint(prefix=front), "an archive in front of the one that counts", HIDDEN, subject="-", source=APPNOTE)
    seen("archive-in-front-unadjusted.bin", front + checkpoint(), "two archives one behind the other, as cat joins them",
         HIDDEN + "|" + ODD_FILE, "ok|error", "-|" + ZIP_ERRORS, "-", "Python zipfile corrects the offsets, miniz does not")
    seen("archive-behind.bin", checkpoint(EVIL, prefix=checkpoint()), "the archive that counts is behind a harmless one",
         FORBIDDEN + "," + HIDDEN, source=APPNOTE)
    inner = checkpoint(EVIL)
    seen("archive-in-comment.bin", checkpoint(comment=inner), "an archive in the comment of another",
         HIDDEN + "|" + CONFLICT + "|" + ODD_FILE, "ok|error", "-|" + ZIP_ERRORS, "-", APPNOTE)
    seen("archive-comment-pickle.bin", checkpoint(comment=BAD), "a pickle in the comment of the archive", HIDDEN, subject="-", source=APPNOTE)
    seen("archive-tail.bin", checkpoint(tail=BAD), "a pickle behind the archive", HIDDEN + "|" + ODD_FILE, "ok|error", "-|" + ZIP_ERRORS, "-",
         APPNOTE)
    seen("pickle-in-front.bin", checkpoint(EVIL, prefix=BAD), "a pickle, then an archive: it is both",
         FORBIDDEN, "ok|error|unsupported", "-|unknown-format|not-a-state-dict|unsupported-container", source="fickling polyglot.py")
    seen("storage-longer-than-tensor.bin", checkpoint(storages={"0": A + BAD, "1": B}), "a storage with more bytes than the pickle says",
         "|".join((HIDDEN, CONFLICT, FORBIDDEN, ODD_FILE)), "ok|error", "-|storage-out-of-bounds", "-", "CVE-2026-24747 (storage metadata)")


def conflicts(case):
    """The directory says one thing, the local headers another."""
    def seen(name, data, trick, rules, status="ok", code="-", subject="-", source=APPNOTE):
        case(name, data, trick, status, code, rules, subject, source)

    def changed(of="data.pkl", pickle=None, **knobs):
        return checkpoint(pickle, knobs={of: knobs})

    both = FORBIDDEN + "," + CONFLICT
    seen("local-name-differs.bin", changed(pickle=EVIL, local_name=b"archive/data.txt"), "data.pkl is data.txt in its local header", both,
         subject="os.system", source="CVE-2025-1944, picklescan malicious1_central_directory")
    seen("local-name-longer.bin", changed(pickle=EVIL, local_name=b"archive/data.pkl.txt"), "a longer name in the local header", both,
         subject="os.system", source="CVE-2025-1944")
    seen("local-sizes-differ.bin", changed(plain=True, local_sizes=(10, 10)), "other sizes in the local header", CONFLICT)
    seen("local-crc-differs.bin", changed(plain=True, local_crc=1), "another CRC in the local header", CONFLICT)
    seen("local-method-differs.bin", changed(local_method=8), "stored says the directory, deflated the local header", CONFLICT,
         "ok|error", "-|invalid-zip-member")
    seen("descriptor-differs.bin", changed(descriptor=b"PK\7\10" + u32(7) + u32(8) + u32(9)), "other numbers in the data descriptor", CONFLICT)
    for name, bits in (("0x1", 0x0001), ("0x20", 0x0020), ("0x40", 0x0040)):
        seen("encrypted-flag-%s.bin" % name, changed(pickle=EVIL, flags=0x0808 | bits), "flag %s: scanners that believe it pass over" % name,
             FORBIDDEN + ",archive-encrypted-flag", subject="os.system", source="CVE-2025-1945, picklescan malicious1_" + name)
        seen("encrypted-flag-local-%s.bin" % name, changed(pickle=EVIL, local_flags=0x0808 | bits), "flag %s in the local header only" % name,
             FORBIDDEN + ",archive-encrypted-flag|archive-conflict", subject="os.system", source="CVE-2025-1945")
    seen("crc-data-pkl.bin", changed(pickle=EVIL, crc=0x12345678), "the CRC of data.pkl is wrong: scanners that check it stop",
         FORBIDDEN + ",checksum-mismatch", subject="os.system", source="CVE-2025-10156, picklescan malicious1_crc")
    seen("crc-zero.bin", changed(pickle=EVIL, crc=0), "the CRC of data.pkl is 0", FORBIDDEN + ",checksum-mismatch", subject="os.system",
         source="CVE-2025-10156")
    seen("crc-storage.bin", changed("data/0", crc=0x12345678), "the CRC of a storage is wrong", "checksum-mismatch|unreadable-file", "ok|error",
         "-|checksum-mismatch|read-failed")
    seen("crc-stray.bin", checkpoint(extra=[member("archive/x.pkl", BAD, crc=5)]), "the CRC of a pickle beside data.pkl is wrong",
         FORBIDDEN + "," + STRAY + ",checksum-mismatch", subject="os.system", source="CVE-2025-10156")

    twice = CONFLICT + "|" + STRAY + "|" + ODD_FILE
    seen("name-twice-bad-first.bin", zip_bytes([member("archive/data.pkl", p) for p in (EVIL, state_dict())]
         + REST), "two members data.pkl, the first with a payload: miniz takes the first",
         FORBIDDEN + "," + twice, "ok|error", "-|" + ZIP_ERRORS, "os.system")
    seen("name-twice-bad-last.bin", zip_bytes([member("archive/data.pkl", p) for p in (state_dict(), EVIL)]
         + REST), "two members data.pkl, the last with a payload: zipfile takes the last",
         FORBIDDEN + "," + twice, "ok|error", "-|" + ZIP_ERRORS, "os.system")
    seen("name-twice-storage.bin", checkpoint(extra=[member("archive/data/0", B)]), "two storages of one key", twice, "ok|error",
         "-|" + ZIP_ERRORS + "|storage-out-of-bounds")
    for name, path in (("parent", "archive/../../../../tmp/evil"), ("absolute", "/etc/cron.d/evil"), ("drive", "C:\\Windows\\evil.dll"),
                       ("backslash", "archive\\..\\..\\evil.py"), ("home", "../.ssh/authorized_keys")):
        seen("traversal-%s.bin" % name, checkpoint(extra=[member(path, b"echo loraudit\n")]), "a member called " + path, "archive-traversal-name",
             source="modelaudit path_traversal.zip")
    seen("traversal-root.bin", checkpoint(root=".."), "the root folder is ..", "archive-traversal-name")
    seen("name-with-nul.bin", checkpoint(extra=[member("archive/data.pkl\0.txt", BAD)]), "data.pkl, a NUL, .txt", FORBIDDEN + "," + twice, "ok|error",
         "-|" + ZIP_ERRORS, "os.system")
    seen("name-with-escape.bin", checkpoint(extra=[member("archive/\033[2J\033]0;x\7", b"x")]), "terminal escapes in a member's name", STRAY)
    seen("name-not-utf8.bin", checkpoint(extra=[member(b"archive/\xff\xfe.pkl", BAD)]), "a member's name is not UTF-8", FORBIDDEN + "," + STRAY,
         subject="os.system")
    seen("name-empty.bin", checkpoint(extra=[member("", BAD)]), "a member without a name", FORBIDDEN + "," + twice, "ok|error", "-|" + ZIP_ERRORS,
         "os.system")


def lies(case):
    """Numbers that cannot be, and members that weigh more than they are."""
    def seen(name, data, trick, code=ZIP_ERRORS, rules=ODD_FILE, status="error", subject="-", source=APPNOTE):
        case(name, data, trick, status, code, rules, subject, source)

    def changed(of="data.pkl", **knobs):
        return checkpoint(knobs={of: knobs})

    seen("end-outside.bin", checkpoint(directory_at=0x7FFFFFFF), "the directory is said to begin beyond the file")
    seen("end-directory-huge.bin", checkpoint(directory_bytes=0xFFFFFFF0), "the directory is said to have 4 GB")
    loose = dict(code="-|" + ZIP_ERRORS, status="ok|error")
    seen("end-count-huge.bin", checkpoint(n=65534), "the directory is said to have 65,534 members", rules="|".join((CONFLICT, HIDDEN, ODD_FILE)),
         **loose)
    seen("end-count-short.bin", checkpoint(EVIL, n=1), "the directory is said to have one member, and has six",
         rules=FORBIDDEN + "|" + ODD_FILE + "," + "|".join((CONFLICT, HIDDEN, ODD_FILE)), subject="-", **loose)
    seen("end-count-hides-member.bin", checkpoint(extra=[member("archive/x.pkl", BAD)], n=6),
         "the directory has one member more than its count: zipfile sees it, miniz does not", rules="|".join((CONFLICT, HIDDEN, ODD_FILE)), **loose)
    seen("end-missing.bin", checkpoint()[:-22], "no end record", code="invalid-zip")
    seen("end-comment-beyond.bin", checkpoint(comment_bytes=500), "the comment is said to be longer than the file",
         rules="|".join((CONFLICT, HIDDEN, ODD_FILE)), **loose)
    seen("end-count-of-nothing.bin", checkpoint(EVIL, n=0, directory_bytes=0), "an archive that says it is empty",
         code="-|" + ZIP_ERRORS + "|not-a-state-dict", rules="|".join((CONFLICT, HIDDEN, ODD_FILE)), status="ok|error")
    seen("nothing.bin", b"PK\5\6" + bytes(18), "an archive of nothing", code=ZIP_ERRORS + "|unknown-format|not-a-state-dict|unsupported-container",
         status="error|unsupported")

    z64 = dict(n=0xFFFF, directory_bytes=0xFFFFFFFF, directory_at=0xFFFFFFFF)
    seen("zip64-locator-outside.bin", checkpoint(zip64=lambda n, size, at, here: zip64_records(n, size, at, here, 1 << 62), **z64),
         "the zip64 locator points beyond the file", rules="|".join((CONFLICT, HIDDEN, ODD_FILE)), **loose)
    seen("zip64-count-huge.bin", checkpoint(zip64=lambda n, size, at, here: zip64_records((1 << 64) - 1, size, at, here), **z64),
         "2^64 - 1 members, says zip64", code="-|" + ZIP_ERRORS + "|too-many-tensors", status="ok|error",
         rules="|".join((CONFLICT, HIDDEN, ODD_FILE)))
    seen("zip64-directory-outside.bin", checkpoint(zip64=lambda n, size, at, here: zip64_records(n, size, 1 << 63, here), **z64),
         "the directory begins at 2^63, says zip64")
    seen("zip64-directory-wraps.bin", checkpoint(zip64=lambda n, size, at, here: zip64_records(n, (1 << 64) - at, at, here), **z64),
         "offset and size of the directory add up to 2^64")
    seen("zip64-disagrees.bin", checkpoint(zip64=lambda n, size, at, here: zip64_records(1, size, at, here)),
         "the zip64 record has another count than the end record", rules="|".join((CONFLICT, HIDDEN, ODD_FILE)), **loose)
    big = dict(stored=0xFFFFFFFF, size=0xFFFFFFFF)
    seen("zip64-size-huge.bin", changed("data/0", extra=u16(1) + u16(16) + u64(1 << 63) + u64(1 << 63), **big), "a member of 2^63 bytes")
    seen("zip64-extra-short.bin", changed("data/0", extra=u16(1) + u16(4) + u32(64), **big), "a zip64 field that is too short for its sizes")
    seen("zip64-extra-absent.bin", changed("data/0", **big), "sizes of 2^32 - 1 without a zip64 field")
    seen("extra-beyond.bin", checkpoint(EVIL, knobs={"data/0": {"extra": u16(0x4246) + u16(60000) + b"Z"}}),
         "an extra field longer than the extra fields: zipfile gives up, torch loads", rules=FORBIDDEN, subject="os.system", **loose)

    seen("stored-beyond-file.bin", changed("data/1", stored=1 << 20, size=1 << 20), "a member longer than the file", code="invalid-zip-member")
    seen("stored-sizes-differ.bin", changed("data/1", size=4096), "a stored member of 64 bytes that holds 4,096",
         code="invalid-zip-member|storage-out-of-bounds")
    seen("local-offset-beyond.bin", changed("data/1", offset=0x7FFFFF00), "a local header beyond the file", code="invalid-zip-member")
    seen("local-offset-elsewhere.bin", changed("data/1", offset=33), "no local header where the directory says", code="invalid-zip-member")
    seen("local-offset-in-directory.bin", checkpoint(extra=[member("archive/data/9", b"", present=False, stored=0, size=0)]),
         "the local header of a member is the directory", code="invalid-zip-member")
    seen("method-bzip2.bin", changed(method=12), "method 12, bzip2", code="invalid-zip-member")
    seen("method-aes.bin", changed(method=99), "method 99, AES", code="invalid-zip-member", rules=ODD_FILE)
    seen("disk-number.bin", checkpoint(EVIL, knobs={"data.pkl": {"disk": 3}}), "a member on another disk: miniz gives up, zipfile reads it",
         rules=FORBIDDEN + "|" + ODD_FILE, **loose)

    quoted = zip_bytes([member("archive/q%02d" % i, b"") for i in range(12)])
    end, inside = quoted.index(b"PK\1\2"), []
    for i in range(12):
        at = quoted.index(b"archive/q%02d" % i) - 30
        begin = at + 30 + sum(struct.unpack_from("<HH", quoted, at + 26))
        inside.append(member("archive/q%02d" % i, quoted[begin:end], present=False, offset=at))
    seen("overlap-quoted.bin", checkpoint(extra=inside, prefix=quoted[:end]),
         "members inside members: each holds all that follow", rules="|".join((CONFLICT, ODD_FILE)) + "," + "|".join((STRAY, ODD_FILE)),
         source="Fifield, A better zip bomb (2019)", **loose)
    seen("overlap-same.bin", checkpoint(extra=[member("archive/data/%d" % i, A, present=False, offset=LOCAL_0) for i in range(2, 40)]),
         "forty members share one local header", rules=CONFLICT, source="Fifield, A better zip bomb (2019)", **loose)
    seen("overlap-storages.bin", changed("data/1", offset=LOCAL_0), "two storages are the same bytes", rules=CONFLICT, status="ok|error",
         code="-|" + ZIP_ERRORS + "|checksum-mismatch|read-failed")

    runs = 37000
    bomb = deflate_zeros(runs)
    zeros = bytes(1 + 258 * runs)
    late = "inflates-too-large"
    seen("bomb-data-pkl.bin", zip_bytes([member("archive/data.pkl", zeros, packed=bomb), member("archive/data/0", A)]),
         "a data.pkl of 9.5 MB in 9 KB", code=late + "|invalid-pickle", source="zip bomb")
    seen("bomb-storage.bin", zip_bytes([member("archive/data.pkl", state_dict(a=tensor("0", (2, (1 + 258 * runs) // 8), (1 + 258 * runs) // 4),
         b=tensor("0", ((1 + 258 * runs) // 8, 2), (1 + 258 * runs) // 4))), member("archive/data/0", zeros, packed=bomb)]),
         "a storage of 9.5 MB of zeros in 9 KB", code="-|" + late + "|storage-out-of-bounds", status="untrained|error",
         rules="untrained-adapter|" + ODD_FILE, source="zip bomb")
    seen("bomb-stray.bin", checkpoint(EVIL, extra=[member("archive/x.pkl", zeros, packed=bomb)]), "a member of 9.5 MB in 9 KB beside the payload",
         code="-|" + late, rules=FORBIDDEN + "," + STRAY, status="ok|error", subject="os.system", source="zip bomb")
    seen("bomb-claims-4-gb.bin", changed(packed=deflate_stored(state_dict()), size=0xFFFFFFF0), "a data.pkl that claims 4 GB",
         code=late + "|invalid-deflate|invalid-zip-member")
    seen("bomb-claims-little.bin", checkpoint(knobs={"data.pkl": {"packed": deflate_stored(EVIL), "size": 100}}, pickle=EVIL),
         "a data.pkl that inflates to more than it claims", code="-|" + late + "|invalid-deflate|invalid-pickle",
         rules="|".join((CONFLICT, HIDDEN, "checksum-mismatch", ODD_FILE)), status="ok|error")
    seen("deflate-broken.bin", changed(packed=b"\x07\xff\xff"), "a data.pkl whose deflate stream is broken", code="invalid-deflate")
    seen("deflate-tail.bin", checkpoint(knobs={"data.pkl": {"packed": deflate_stored(state_dict()) + BAD}}),
         "a pickle behind the end of a deflate stream", code="-", rules=FORBIDDEN + "," + HIDDEN, status="ok", subject="os.system")


REST = [member("archive/data/0", A), member("archive/data/1", B), member("archive/version", b"3\n")]
LOCAL_0 = checkpoint().index(b"archive/data/0") - 30


def storages(case):
    """Tensors that lie about their storage."""
    def seen(name, code="storage-out-of-bounds", rules=ODD_FILE, status="error", trick="", source="pytorch torch/_utils.py", stores=None, **kw):
        t = dict(numel=16, offset=0, stride=None, shape=SHAPE_A, key="0")
        t.update(kw)
        case(name, checkpoint(state_dict(a=tensor(t["key"], t["shape"], t["numel"], t["offset"], t["stride"])), storages=stores), trick, status, code,
             rules, "-", source)

    seen("storage-numel.bin", trick="the pickle says 4,096 numbers, the storage has 16", numel=4096, shape=(2, 2048))
    seen("storage-numel-huge.bin", trick="2^62 numbers: their bytes overflow", numel=1 << 62, source="CVE-2026-24747")
    seen("storage-numel-negative.bin", trick="-16 numbers", numel=-16, code="storage-out-of-bounds|not-a-state-dict")
    seen("storage-numel-beyond-int64.bin", trick="2^70 numbers", numel=1 << 70, code="storage-out-of-bounds|not-a-state-dict|shape-overflow")
    seen("storage-offset.bin", trick="a storage_offset beyond the storage", offset=15)
    seen("storage-offset-huge.bin", trick="a storage_offset of 2^63 - 1", offset=(1 << 63) - 1)
    seen("storage-offset-negative.bin", trick="a storage_offset of -8", offset=-8, code="storage-out-of-bounds|not-a-state-dict")
    seen("storage-size-negative.bin", trick="a shape of -2 x -8", shape=(-2, -8), stride=(8, 1),
         code="storage-out-of-bounds|not-a-state-dict|shape-overflow")
    seen("storage-stride-zero.bin", trick="stride 0: 10^12 entries of one number", shape=(1000000, 1000000), stride=(0, 0),
         code="storage-out-of-bounds|file-too-large|shape-overflow|unsupported-layout|too-many-tensors|inflates-too-large",
         status="error|unsupported")
    seen("storage-stride-huge.bin", trick="a stride of 2^62", stride=(1 << 62, 1))
    seen("storage-stride-wraps.bin", trick="strides whose sum wraps to 0", shape=(5, 5), stride=(1 << 62, 1 << 62))
    seen("storage-stride-negative.bin", trick="a stride of -1", stride=(8, -1), code="storage-out-of-bounds|not-a-state-dict")
    seen("storage-shape-overflow.bin", trick="2^33 x 2^33 entries", shape=(1 << 33, 1 << 33), stride=(0, 0),
         code="storage-out-of-bounds|shape-overflow")
    seen("storage-stride-count.bin", trick="three strides for two axes", stride=(8, 1, 1), code="storage-out-of-bounds|not-a-state-dict")
    seen("storage-missing.bin", trick="a storage that is not in the archive", key="77", code="storage-missing")
    seen("storage-key-traversal.bin", trick="the key ../data.pkl", key="../data.pkl", code="storage-missing|storage-out-of-bounds")
    case("storage-shared.bin", checkpoint(state_dict(b=tensor("0", SHAPE_B))), "A and B are the same bytes", "ok", "-", "shared-storage", "-",
         "formats: no real adapter shares storages")
    case("storage-shared-partly.bin", checkpoint(state_dict(a=tensor("0", SHAPE_A, 24), b=tensor("0", SHAPE_B, 24, 8)), storages={"0": A + B[:32]}),
         "A and B share eight numbers", "ok", "-", "shared-storage", "-", "formats: no real adapter shares storages")
    case("storage-class-size.bin", checkpoint(state_dict(a=tensor("0", SHAPE_A, stored=storage("0", 16, glob("torch", "DoubleStorage"))))),
         "16 numbers of float64 in 64 bytes", "error", "storage-out-of-bounds", ODD_FILE, "-", "CVE-2026-24747")
    case("weights-nan.bin", checkpoint(storages={"0": A[:60] + floats([float("nan")]), "1": B}), "a NaN among the weights", "ok", "-",
         "non-finite-weights", "-", "IEEE 754")
    case("byteorder-big.bin", checkpoint(drop=["byteorder"], extra=[member("archive/byteorder", b"middle")]), "a byte order that does not exist",
         "ok|error", "-|invalid-zip-member|not-a-state-dict", "|".join((CONFLICT, STRAY, "pickle-anomaly", ODD_FILE)), "-",
         "pytorch torch/serialization.py")


def older(case):
    """Checkpoints from before zip."""
    def seen(name, data, trick, rules=FORBIDDEN, status="ok", code="-", subject="os.system", source="pytorch _legacy_load"):
        case(name, data, trick, status, code, rules, subject, source)

    a, b = (tensor(k, s, stored=storage(k, 16, tail=b"N")) for k, s in (("0", SHAPE_A), ("1", SHAPE_B)))
    seen("legacy-payload-object.pt", legacy(state_dict(run(), a=a, b=b)), "a payload in the fourth pickle")
    seen("legacy-payload-info.pt", legacy(info=proto(2) + run() + b"}."), "a payload in the system info", status="ok|error",
         code="-|not-a-state-dict")
    seen("legacy-payload-protocol.pt", legacy(protocol=proto(2) + run() + integer(1001) + STOP), "a payload in the protocol's pickle",
         status="ok|error", code="-|invalid-pickle")
    seen("legacy-payload-keys.pt", legacy(keys=proto(2) + run() + b"]" + MARK + text("0") + text("1") + b"e."), "a payload in the list of keys")
    seen("legacy-sixth-pickle.pt", legacy(tail=BAD), "a sixth pickle behind the storages", ODD_FILE, "error", "trailing-bytes", "-")
    seen("legacy-payload-then-broken.pt", legacy(proto(2) + run() + b"\xff"), "a payload, then an opcode that does not exist",
         FORBIDDEN + "," + ODD_FILE, "error", "invalid-pickle")
    bad = dict(rules=ODD_FILE, status="error", subject="-")
    seen("legacy-protocol-1002.pt", legacy(protocol=proto(2) + integer(1002) + STOP), "protocol 1002", rules="pickle-anomaly|" + ODD_FILE,
         status="ok|error", code="-|invalid-pickle|not-a-state-dict|unknown-format", subject="-")
    seen("legacy-numel-differs.pt", legacy(stores=u64(4) + A[:16] + u64(16) + B), "a storage of four numbers, the pickle says sixteen",
         code="storage-out-of-bounds|file-truncated|trailing-bytes", **bad)
    seen("legacy-numel-huge.pt", legacy(stores=u64(1 << 61) + A + u64(16) + B), "a storage of 2^61 numbers",
         code="file-truncated|storage-out-of-bounds", **bad)
    seen("legacy-numel-negative.pt", legacy(stores=u64((1 << 64) - 1) + A + u64(16) + B), "a storage of -1 numbers",
         code="file-truncated|storage-out-of-bounds", **bad)
    seen("legacy-cut.pt", legacy()[:-8], "the last storage is cut", code="file-truncated", **bad)
    seen("legacy-key-missing.pt", legacy(keys=proto(2) + b"]" + MARK + text("0") + b"e.", stores=u64(16) + A), "a key that is not in the list",
         code="storage-missing", **bad)
    seen("legacy-key-twice.pt", legacy(keys=proto(2) + b"]" + MARK + text("0") * 2 + text("1") + b"e.", stores=u64(16) + A + u64(16) + A + u64(16) + B),
         "a key twice in the list", rules="pickle-anomaly|" + ODD_FILE, status="ok|error",
         code="-|not-a-state-dict|duplicate-tensor|storage-out-of-bounds", subject="-")
    view = tup(text("v"), integer(1 << 40), integer(16))
    seen("legacy-view-outside.pt", legacy(state_dict(a=tensor("0", SHAPE_A, stored=storage("0", 16, tail=view)), b=b)), "a view beyond its storage",
         code="storage-out-of-bounds|not-a-state-dict", **bad)
    seen("legacy-source-code.pt", legacy(state_dict(a=a, b=b, extra=[("m", tup(text("module"), glob("__main__", "Net"), text("net.py"),
         text("import os\nos.system('true')\n")) + b"Q")])), "source code of a module in the pickle", FORBIDDEN, "ok|error", "-|not-a-state-dict",
         "__main__.Net")

    pack = io.BytesIO()
    with tarfile.open(fileobj=pack, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (("pickle", BAD), ("storages", proto(2) + integer(0) + STOP), ("tensors", proto(2) + integer(0) + STOP)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    tarred = pack.getvalue()[:4 * 1024 + 512]
    seen("legacy-tar.pt", tarred, "the tar of torch 0.1 with a payload in its pickle", ODD_FILE, "error|unsupported",
         "unknown-format|unsupported-container", "-", "pytorch legacy_load; CVE-2025-32434")


def cases(case):
    for group in (hiding, conflicts, lies, storages, older):
        group(case)
