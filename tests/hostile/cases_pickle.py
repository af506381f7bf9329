"""cases_pickle.py - what a pickle can do to its reader, and what a scanner must see of it.

A file holds a working adapter wherever its trick allows: a scanner that only looks at tensors would find nothing wrong.
case() takes: file, its bytes, the trick, status, error code, rules (a,b: both; a|b: either), subjects, source.
SPDX-License-Identifier: Apache-2.0
"""
import base64

from writers import *

FORBIDDEN = "pickle-forbidden-global"
ODD = "pickle-anomaly|pickle-forbidden-global|unreadable-file"  # a call of what has no name is as bad as a forbidden name

# module, name, how the rule may name it, source: one file each
GADGETS = [
    ("os", "system", "", "picklescan malicious0"),
    ("posix", "system", "", "picklescan malicious11, modelaudit posix_alias_attack"),
    ("nt", "system", "", "picklescan malicious10, modelaudit nt_alias_attack"),
    ("builtins", "exec", "", "picklescan _unsafe_globals"),
    ("__builtin__", "eval", "builtins.eval|__builtin__.eval", "picklescan malicious1_v0"),
    ("__builtin__", "apply", "builtins.apply|__builtin__.apply", "picklescan _unsafe_globals"),
    ("builtins", "getattr", "", "picklescan _unsafe_globals"),
    ("builtins", "__import__", "", "modelscan settings"),
    ("builtins", "print", "", "harmless, and on no block-list: only an allow-list sees it"),
    ("subprocess", "Popen", "", "picklescan malicious3"),
    ("commands", "getoutput", "commands.getoutput|subprocess.getoutput", "picklescan _unsafe_globals (Python 2)"),
    ("asyncio.unix_events", "_UnixSubprocessTransport._start", "", "CVE-2025-10157, GHSA-q77w-mwjj-7mqx"),
    ("pip", "main", "", "CVE-2025-1716, picklescan malicious16"),
    ("pip._internal.cli.main", "main", "", "CVE-2025-1716, submodule"),
    ("operator", "methodcaller", "", "GHSA-955r, picklescan _unsafe_globals"),
    ("_operator", "attrgetter", "operator.attrgetter|_operator.attrgetter", "picklescan malicious19"),
    ("functools", "partial", "", "picklescan _unsafe_globals"),
    ("types", "CodeType", "", "picklescan types_CodeType"),
    ("types", "FunctionType", "", "fickling UNSAFE_IMPORTS"),
    ("cloudpickle.cloudpickle", "_make_function", "", "picklescan cloudpickle_codeinjection"),
    ("dill._dill", "_create_function", "", "fickling UNSAFE_IMPORTS"),
    ("pkgutil", "resolve_name", "", "GHSA-vvpj, picklescan _unsafe_globals"),
    ("runpy", "_run_code", "", "modelscan settings"),
    ("webbrowser", "open", "", "modelscan settings (HIGH)"),
    ("socket", "gethostbyname", "", "modelaudit dns_exfiltration"),
    ("ctypes", "CDLL", "", "picklescan _unsafe_globals"),
    ("code", "InteractiveInterpreter.runcode", "", "picklescan _unsafe_globals"),
    ("logging", "FileHandler", "", "picklescan _unsafe_globals: writes a file"),
    ("_io", "FileIO", "", "picklescan _unsafe_globals: writes a file"),
    ("marshal", "loads", "", "fickling UNSAFE_IMPORTS"),
    ("importlib", "import_module", "", "fickling UNSAFE_IMPORTS"),
    ("numpy.testing._private.utils", "runstring", "", "picklescan _unsafe_globals"),
    ("numpy.f2py.crackfortran", "getlincoef", "", "GHSA-r8g5, picklescan _unsafe_globals"),
    ("torch", "load", "", "fickling: a pickle that loads another"),
    ("torch.serialization", "load", "", "picklescan _unsafe_globals"),
    ("torch.storage", "_load_from_bytes", "", "fickling: a pickle inside a storage"),
    ("torch.hub", "load", "", "fickling torch.hub"),
    ("torch.jit.unsupported_tensor_ops", "execWrapper", "", "GHSA-4r9r, picklescan _unsafe_globals"),
    ("torch._inductor.codecache", "compile_file", "", "picklescan _unsafe_globals"),
    ("torch._dynamo.guards", "GuardBuilder.get", "", "picklescan _unsafe_globals"),
    ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", "", "picklescan _unsafe_globals"),
    ("torch.utils.bottleneck.__main__", "run_cprofile", "", "picklescan _unsafe_globals"),
    ("torch.utils.collect_env", "run", "", "picklescan _unsafe_globals"),
    ("torch.utils._config_module", "ConfigModule.load_config", "", "picklescan _unsafe_globals"),
    ("torch.utils.data.datapipes.utils.decoder", "basichandlers", "", "picklescan _unsafe_globals"),
]

# What is called with "true" does nothing, or fails; these would leave a trace.
ARGUMENTS = {"logging.FileHandler": "/dev/null", "_io.FileIO": "/dev/null", "socket.gethostbyname": "localhost", "webbrowser.open": "about:blank",
             "torch.hub.load": "/dev/null", "pip.main": "", "pip._internal.cli.main.main": ""}

# The names of the block-lists that have no file of their own.
OTHERS = """aiohttp.client.ClientSession bdb.Bdb.run httplib.HTTPConnection pickle.loads _pickle.loads pty.spawn profile.run
cProfile.run pydoc.pipepager requests.api.get shutil.rmtree ssl.get_server_certificate sys.exit test.support.script_helper.run_python_until_end
timeit.timeit urllib.request.urlopen uuid._get_command_stdout venv.create _osx_support._read_output _aix_support._read_cmd_output
_pyrepl.pager.pipe_pager distutils.file_util.write_file pdb.run builtins.compile builtins.open builtins.breakpoint
operator.itemgetter cloudpickle.cloudpickle._builtin_type cloudpickle.cloudpickle._function_setstate cloudpickle.cloudpickle._make_cell
cloudpickle.cloudpickle.subimport doctest.debug_script ensurepip._run_pip idlelib.autocomplete.AutoComplete idlelib.calltip.get_entity
idlelib.debugobj.ObjectTreeItem idlelib.pyshell.ModifiedInterpreter.runcode idlelib.run.Executive.runcode imaplib.IMAP4_stream
lib2to3.pgen2.grammar.Grammar.loads lib2to3.pgen2.pgen.ParserGenerator.make_label trace.Trace.run trace.Trace.runctx
torch.utils.bottleneck.__main__.run_autograd_prof multiprocessing.util.spawnv_passfds _posixsubprocess.fork_exec codeop.compile_command
zipimport.zipimporter gc.get_objects inspect.getattr_static http.client.HTTPConnection smtplib.SMTP ftplib.FTP telnetlib.Telnet
joblib.load tempfile.mkstemp pexpect.run pipes.Template socketserver.TCPServer xmlrpc.client.ServerProxy signal.signal
threading.Thread _thread.start_new_thread atexit.register sqlite3.connect fileinput.input glob.glob platform.popen
linecache.getline difflib.unified_diff compileall.compile_dir py_compile.compile mmap.mmap select.select selectors.DefaultSelector
syslog.syslog tarfile.open zipfile.ZipFile shelve.open _interpreters.exec torch.compile torch.jit.load numpy.distutils.exec_command.exec_command
site.addsitedir unittest.main getpass.getpass poplib.POP3 nntplib.NNTP filecmp.cmp""".split()


def gadgets(case):
    for module, name, subject, source in GADGETS:
        whole = module + "." + name
        case("gadget-%s.bin" % whole.strip("_").replace("._", ".").replace("__", "").replace(".", "-").replace("_", "-").lower(),
             checkpoint(state_dict(run(module, name, text(ARGUMENTS.get(whole, "true"))))), "a call of %s beside a working adapter" % whole, "ok",
             "-", FORBIDDEN,
             subject or whole, source)
    every = b"".join(glob(n.rpartition(".")[0], n.rpartition(".")[2]) + POP for n in OTHERS)
    case("gadget-all-others.bin", checkpoint(state_dict(every)), "%d other names of the block-lists" % len(OTHERS), "ok", "-",
         FORBIDDEN, OTHERS[0], "picklescan, modelscan, fickling")


def opcodes(case):
    """Ways to name a global, and ways to call it."""
    def seen(name, pickle, trick, subject="os.system", rules=FORBIDDEN, status="ok", code="-", source="CPython Lib/pickle.py"):
        case(name, checkpoint(pickle), trick, status, code, rules, subject, source)

    arg = text("true")
    stack = short("os") + short("system") + b"\x93"
    for p in range(6):
        old = b"" if p == 0 else proto(p)
        line = b"" if p > 0 else b"cos\nsystem\n(Vtrue\ntR0"
        seen("protocol-%d-global.bin" % p, state_dict(line or run()).replace(proto(2), old, 1),
             "GLOBAL and REDUCE in protocol %d" % p)
    seen("stack-global.bin", state_dict(call(stack, arg) + POP, 4), "STACK_GLOBAL")
    seen("stack-global-protocol-0.bin", state_dict(call(stack, arg) + POP).replace(proto(2), b"", 1),
         "STACK_GLOBAL in a stream without PROTO: opcodes do not wait for their protocol")
    seen("inst.bin", state_dict(MARK + b"Vtrue\nios\nsystem\n" + POP), "INST", rules=FORBIDDEN + ",pickle-anomaly",
         source="picklescan malicious1_v0")
    seen("obj.bin", state_dict(MARK + glob("os", "system") + arg + b"o" + POP), "OBJ", rules=FORBIDDEN + ",pickle-anomaly")
    seen("obj-then-pop.bin", state_dict(MARK + MARK + glob("os", "system") + arg + b"o1"),
         "OBJ, then POP_MARK: the call is gone from the result", rules=FORBIDDEN + ",pickle-anomaly", source="GHSA-mxhj-88fx-4pcv")
    seen("newobj.bin", state_dict(glob("subprocess", "Popen") + tup(arg) + b"\x81" + POP), "NEWOBJ", "subprocess.Popen")
    seen("newobj-ex.bin", state_dict(glob("subprocess", "Popen") + tup(arg) + b"}\x92" + POP, 4), "NEWOBJ_EX", "subprocess.Popen",
         FORBIDDEN + ",pickle-anomaly")
    for op, code in ((b"\x82", b"\x2a"), (b"\x83", u16(0x2A2A)), (b"\x84", u32(0x2A2A2A))):
        seen("ext%d.bin" % len(code), state_dict(op + code + POP), "EXT%d: a global by its number in copyreg" % len(code), "-",
             ODD, "ok|error", "-|invalid-pickle",
             "pytorch _weights_only_unpickler refuses EXT")
    seen("build-setstate.bin", state_dict(call(glob("functools", "partial"), glob("os", "system")) + tup(glob("os", "system"), b")", b"}", b"N")
                                          + BUILD + POP), "BUILD on a forbidden object", "functools.partial,os.system")
    seen("dup-of-global.bin", state_dict(glob("os", "system") + b"2" + tup(arg) + REDUCE + POP + POP), "DUP of a global, then REDUCE")
    seen("global-never-called.bin", state_dict(extra=[("hook", glob("os", "system"))]), "a global as a value of the dict", status="ok|error",
         code="-|not-a-state-dict")
    seen("global-as-key.bin", proto(2) + b"}" + MARK + pairs() + glob("os", "system") + b"Nu.", "a global as a key of the dict",
         status="ok|error", code="-|not-a-state-dict")
    seen("hooks-argument.bin", state_dict(a=call(glob("torch._utils", "_rebuild_tensor_v2"), storage("0", 16), integer(0),
                                                 ints(SHAPE_A), ints((8, 1)), b"\x89", call(glob("os", "system"), arg))),
         "the payload is the backward hooks of a tensor", status="ok|error", code="-|not-a-state-dict")
    seen("storage-class.bin", state_dict(a=tensor("0", SHAPE_A, stored=storage("0", 16, glob("os", "system")))),
         "the payload is the class of a storage", status="ok|error", code="-|not-a-state-dict|unknown-dtype|storage-out-of-bounds")
    seen("metadata-attribute.bin", proto(2) + ORDERED + MARK + pairs() + b"u}" + MARK + text("_metadata")
         + call(glob("os", "system"), arg) + b"ub.", "the payload is the _metadata of the OrderedDict")


def names(case):
    """The name of the global, disguised."""
    def seen(name, ops, trick, subject="os.system", rules=FORBIDDEN, status="ok", code="-", source="CPython Lib/pickle.py", p=4):
        case(name, checkpoint(state_dict(ops + POP, p)), trick, status, code, rules, subject, source)

    arg = text("true")
    seen("names-through-memo.bin", short("os") + b"q\x07" + POP + short("system") + b"\x94" + POP + b"h\x07h\x01\x93" + tup(arg) + REDUCE,
         "STACK_GLOBAL takes its names from the memo: BINPUT 7, then MEMOIZE, which means 1", source="modelaudit memo_attack")
    seen("names-memo-overwritten.bin", short("collections") + b"q\x01" + POP + short("os") + b"\x94" + POP + b"h\x01"
         + short("system") + b"\x93" + tup(arg) + REDUCE,
         "MEMOIZE writes over what BINPUT 1 had put: the name read later is another one", source="picklescan malicious23")
    seen("names-text-memo.bin", b"Vos\np5\n0Vsystem\nr\x06\0\0\0" + POP + b"g5\nj\x06\0\0\0\x93" + tup(arg) + REDUCE,
         "PUT and LONG_BINPUT, GET and LONG_BINGET", source="modelaudit memo_attack")
    seen("names-missing-memo-key.bin", call(glob("os", "system"), arg) + b"h\x63\x93", "STACK_GLOBAL of a memo key that was never put",
         rules=FORBIDDEN + ",unreadable-file", status="error", code="invalid-pickle", source="picklescan keyerror-exploit")
    seen("names-type-confusion.bin", call(glob("os", "system"), arg) + POP + integer(1) + integer(2) + b"\x93",
         "STACK_GLOBAL of two numbers", status="ok|error", code="-|invalid-pickle",
         source="picklescan type-confusion-exploit")
    seen("names-escaped-unicode.bin", b"V\\u006fs\nV\\u0073ystem\n\x93" + tup(arg) + REDUCE, "names in UNICODE with \\u escapes")
    seen("names-escaped-string.bin", b"S'\\x6fs'\nS'\\x73ystem'\n\x93" + tup(arg) + REDUCE, "names in STRING with \\x escapes")
    seen("names-binstring.bin", b"T" + u32(2) + b"os" + b"U\x06system\x93" + tup(arg) + REDUCE,
         "names in BINSTRING and SHORT_BINSTRING, which are text too")
    seen("names-binunicode8.bin", b"\x8d" + u64(2) + b"os" + b"\x8d" + u64(6) + b"system\x93" + tup(arg) + REDUCE, "names in BINUNICODE8")
    seen("names-dotted.bin", short("torch") + short("serialization.os.system") + b"\x93" + tup(arg) + REDUCE,
         "protocol 4 follows attributes: torch, then serialization.os.system", "torch.serialization.os.system")
    seen("names-dotted-allowed-prefix.bin", short("collections") + short("OrderedDict.__init__.__globals__") + b"\x93",
         "an attribute of an allowed class", "collections.OrderedDict.__init__.__globals__")
    seen("names-embedded-nul.bin", short("collections") + short("OrderedDict\0.system") + b"\x93",
         "an allowed name, a NUL, and more", "-", FORBIDDEN + "|unreadable-file", "ok|error", "-|invalid-pickle")
    seen("names-sys-modules.bin", glob("sys", "modules") + text("torch._utils") + glob("os", "__dict__") + b"s",
         "sys.modules is changed, so that allowed names mean something else", "sys.modules", source="picklescan sys_module_override_sploit", p=2)
    seen("names-module-attributes.bin", glob("torch", "_utils") + b"}" + text("_rebuild_tensor_v2") + glob("torch", "load") + b"sb",
         "BUILD on a module: an allowed function is replaced", "torch._utils", source="picklescan sys_module_override_sploit", p=2)


def structure(case):
    """Streams that break, repeat, or are not one pickle."""
    def seen(name, data, trick, subject="os.system", rules=FORBIDDEN, status="ok", code="-", source="CPython Lib/pickle.py"):
        case(name, data, trick, status, code, rules, subject, source)

    good, bad = state_dict(), proto(2) + call(glob("os", "system"), text("true")) + STOP
    broken = FORBIDDEN + ",unreadable-file"
    seen("payload-then-bad-opcode.bin", checkpoint(proto(2) + run() + b"\xff\xff"), "payload, then an opcode that does not exist",
         rules=broken, status="error", code="invalid-pickle", source="nullifAI; picklescan malicious-invalid-bytes")
    seen("payload-then-cut.bin", checkpoint(state_dict(run())[:120]), "payload, then the stream ends", rules=broken, status="error",
         code="invalid-pickle", source="nullifAI; picklescan broken_model")
    seen("payload-then-underflow.bin", checkpoint(proto(2) + run() + b"00R."), "payload, then an empty stack is popped", rules=broken,
         status="error", code="invalid-pickle", source="nullifAI")
    seen("payload-then-cut.pkl", bad[:-1], "a bare pickle without its STOP", rules=broken + "", status="error|unsupported",
         code="unknown-format|invalid-pickle|not-a-state-dict|unsupported-container", source="picklescan broken_model")
    seen("second-pickle.bin", checkpoint(good + bad), "a second pickle behind the first in data.pkl", rules=FORBIDDEN + ",pickle-anomaly",
         source="picklescan malicious6")
    seen("second-pickle-after-junk.bin", checkpoint(good + b"\0\0\0\0" + bad), "junk, then a second pickle, in data.pkl",
         "-", "pickle-anomaly")
    seen("many-streams.pkl", proto(2) + b"N." + proto(2) + b"N." + bad, "three bare pickles, the last with a payload",
         rules=broken, status="error|unsupported", code="unknown-format|not-a-state-dict|unsupported-container",
         source="modelaudit multiple_stream_attack")
    for p, head in ((0, b""), (2, proto(2)), (4, proto(4))):
        body = b"cos\nsystem\n(Vtrue\ntR." if p == 0 else bad[2:]
        seen("bare-protocol-%d.bin" % p, head + body, "a bare pickle of protocol %d under the name of a checkpoint" % p, rules=broken,
             status="error|unsupported", code="unknown-format|not-a-state-dict|unsupported-container", source="picklescan malicious1")
    seen("bare-inst.pt", b"(Vtrue\nios\nsystem\n.", "a bare INST", rules=broken, status="error|unsupported",
         code="unknown-format|not-a-state-dict|unsupported-container", source="picklescan malicious1_v0")
    seen("nested-pickle-loads.bin", checkpoint(state_dict(call(glob("_pickle", "loads"), b"C" + bytes([len(bad)]) + bad) + POP, 3)),
         "pickle.loads of a pickle in bytes", "_pickle.loads|pickle.loads", source="modelaudit nested_pickle")
    seen("nested-pickle-base64.bin", checkpoint(state_dict(call(glob("pickle", "loads"), call(glob("base64", "b64decode"),
         text(base64.b64encode(bad)))) + POP)), "pickle.loads of a pickle in base64", "pickle.loads,base64.b64decode",
         source="modelaudit nested_pickle")
    seen("nested-pickle-hex.bin", checkpoint(state_dict(call(glob("pickle", "loads"), call(glob("binascii", "unhexlify"),
         text(bad.hex()))) + POP)), "pickle.loads of a pickle in hexadecimal", "pickle.loads,binascii.unhexlify",
         source="modelaudit nested_pickle")
    seen("magic-by-eval.pt", proto(2) + call(glob("builtins", "eval"), text("0x1950a86a20f9469cfc6c")) + STOP
         + legacy()[len(LEGACY_MAGIC):], "the magic number of a legacy checkpoint is the result of eval", "builtins.eval", broken,
         "error|unsupported", "unknown-format|not-a-state-dict|unsupported-container", "picklescan pytorch_magic_bypass")
    seen("pickle-before-hdf5.h5", (bad + bytes(512))[:512] + b"\x89HDF\r\n\x1a\n" + bytes(64),
         "a pickle in the user block of an HDF5 file", rules=broken, status="error|unsupported",
         code="unknown-format|not-a-state-dict|hdf5-not-trusted|unsupported-container", source="HDF5 user block")
    frame = b"\x95"
    torn = dict(subject="-", rules=ODD, status="ok|error", code="-|invalid-pickle")
    seen("frame-too-long.bin", checkpoint(proto(4) + frame + u64(1 << 62) + run() + state_dict()[2:]), "FRAME claims 2^62 bytes",
         source="fickling test_bypasses", **torn)
    seen("frame-torn.bin", checkpoint(proto(4) + frame + u64(3) + run() + state_dict()[2:]), "an opcode across the end of its FRAME",
         source="fickling test_frame_boundary", **torn)
    seen("frame-ends-early.bin", checkpoint(proto(4) + frame + u64(2) + b"N0" + run() + state_dict()[2:]), "a payload behind the end of the FRAME",
         source="fickling test_frame_boundary")
    seen("frame-in-frame.bin", checkpoint(proto(4) + frame + u64(11) + frame + u64(2) + b"N0" + run() + state_dict()[2:]), "a FRAME in a FRAME",
         status="ok|error", code="-|invalid-pickle", source="fickling test_frame_boundary")
    seen("proto-again.bin", checkpoint(state_dict(proto(2) + run() + proto(5))), "PROTO in the middle of the stream", source="fickling")
    seen("proto-unknown.bin", checkpoint(b"\x80\xff" + run() + state_dict()[2:]), "protocol 255", "-", "pickle-anomaly|unreadable-file",
         "ok|error", "-|invalid-pickle")


def limits(case):
    """Streams that cost more than they weigh."""
    def heavy(name, pickle, trick, code="-|invalid-pickle|pickle-too-complex|not-a-state-dict", status="ok|error", rules=ODD, subject="-",
              source="CPython Lib/pickle.py"):
        case(name, checkpoint(pickle), trick, status, code, rules, subject, source)

    def beside(value):
        return state_dict(extra=[("extra", value)])

    def nest(leaf, width, levels):
        out = leaf + b"q\x01"
        for _ in range(levels):
            out += POP + MARK + b"h\x01" * width + b"tq\x01"
        return out

    heavy("memo-index-huge.bin", state_dict(b"Nr\xff\xff\xff\xff0"), "LONG_BINPUT 4294967295")
    heavy("memo-index-huge-after-payload.bin", state_dict(run() + b"Nr\xff\xff\xff\xff0"), "a payload, then LONG_BINPUT 4294967295",
          rules=FORBIDDEN, subject="os.system")
    heavy("memo-index-negative.bin", state_dict(b"Np-1\n0"), "PUT -1", "invalid-pickle", "error", "unreadable-file")
    heavy("memo-index-text-huge.bin", state_dict(b"Np99999999999999999999\n0"), "PUT 99999999999999999999")
    deep = ("pickle-too-complex", "error", "unreadable-file")
    heavy("nested-lists.bin", beside(b"]" * 10000 + b"a" * 9999), "10,000 lists in each other", *deep)
    heavy("nested-tuples.bin", beside(b")" + b"\x85" * 10000), "10,000 tuples in each other", *deep)
    heavy("nested-dicts.bin", beside(b"}K\1" * 3000 + b"}" + b"s" * 3000), "3,000 dicts in each other", *deep)
    heavy("nested-reduce.bin", beside(glob("collections", "OrderedDict") + b")R" * 3000), "3,000 calls of calls")
    heavy("nested-marks.bin", state_dict(MARK * 8000 + run() + b"1" * 8000), "8,000 marks around a payload", rules=FORBIDDEN + "|unreadable-file")
    heavy("laughs-of-numbers.bin", beside(nest(b"K\1", 10, 40)), "a tuple of ten times a tuple of ten times … 40 levels")
    heavy("laughs-of-tensors.bin", state_dict(extra=[("extra", nest(tensor("0", SHAPE_A), 2, 50))]),
          "a tuple of twice a tuple of twice … a tensor, 50 levels: 2^50 tensors",
          "pickle-too-complex|too-many-tensors|not-a-state-dict|duplicate-tensor|invalid-pickle", "error", "unreadable-file")
    heavy("laughs-of-dicts.bin", beside(b"}q\1" + b"0}q\2(K\1h\1K\2h\1u0}q\1(K\1h\2K\2h\2u" * 20), "a dict of twice a dict … 40 levels")
    heavy("list-in-itself.bin", beside(b"]q\1h\1a"), "a list that holds itself")
    heavy("dict-in-itself.bin", proto(2) + b"}q\1" + MARK + pairs() + text("self") + b"h\1u.", "the state dict holds itself")
    broken = ("invalid-pickle", "error", "unreadable-file")
    for name, op in (("binunicode8", b"\x8d"), ("binbytes8", b"\x8e"), ("bytearray8", b"\x96")):
        heavy("length-%s.bin" % name, state_dict(op + u64(1 << 63) + b"x" + POP, 5), "%s of 2^63 bytes" % name.upper(), *broken)
    heavy("length-binunicode.bin", state_dict(b"X\xff\xff\xff\xffx0"), "BINUNICODE of 2^32 - 1 bytes", *broken)
    heavy("length-binstring-negative.bin", state_dict(b"T\xff\xff\xff\xffx0"), "BINSTRING of -1 bytes", *broken)
    heavy("length-long4-negative.bin", state_dict(b"\x8b\xff\xff\xff\xff0"), "LONG4 of -1 bytes", *broken)
    heavy("length-long4-huge.bin", state_dict(b"\x8b\xff\xff\xff\x7f0"), "LONG4 of 2^31 - 1 bytes", *broken)
    heavy("digits.bin", state_dict(run() + b"L" + b"9" * 7000 + b"L\n0"), "a payload, then a LONG of 7,000 digits", rules=FORBIDDEN,
          subject="os.system")
    heavy("reduce-of-text.bin", state_dict(text("os.system") + tup(text("true")) + REDUCE + POP), "REDUCE of a text")
    heavy("reduce-of-tensor.bin", state_dict(tensor("0", SHAPE_A) + tup(text("true")) + REDUCE + POP), "REDUCE of a tensor")
    heavy("build-on-global.bin", state_dict(glob("collections", "OrderedDict") + b"}" + text("__reduce__") + b"Nsb0"),
          "BUILD on an allowed class, with a dict")
    heavy("build-on-function.bin", state_dict(glob("torch._utils", "_rebuild_tensor_v2") + tup(b"N", b"}" + text("__kwdefaults__") + b"}s")
                                              + BUILD + POP), "BUILD on an allowed function, with slots: its attributes change for everybody")
    heavy("build-on-class.bin", state_dict(glob("torch", "FloatStorage") + tup(b"N", b"}" + text("dtype") + b"Ns") + BUILD + POP),
          "BUILD on an allowed class, with slots")
    heavy("setitems-on-tensor.bin", state_dict(tensor("0", SHAPE_A) + MARK + text("data") + integer(1) + b"u0"), "SETITEMS on a tensor",
          source="CVE-2026-24747")
    heavy("setitems-on-tuple.bin", state_dict(b")" + MARK + integer(0) + integer(1) + b"u0"), "SETITEMS on a tuple", source="CVE-2026-24747")
    heavy("setitems-odd.bin", state_dict(b"}" + MARK + integer(0) + b"u0"), "SETITEMS of a key without a value", *broken)
    heavy("appends-to-dict.bin", state_dict(b"}" + MARK + integer(0) + b"e0"), "APPENDS to a dict", source="CVE-2026-24747")
    heavy("unhashable-key.bin", state_dict(run() + b"}]Ns0"), "a payload, then a list as a key of a dict", rules=FORBIDDEN, subject="os.system")
    heavy("next-buffer.bin", state_dict(b"\x97\x980", 5), "NEXT_BUFFER without buffers")
    heavy("persistent-text-id.bin", state_dict(b"Pstorage\n0"), "PERSID: the id is a line of text")
    heavy("many-globals.bin", state_dict(b"".join(glob("m%d" % i, "f") + POP for i in range(700)) + run()),
          "700 forbidden globals, os.system last", "-", "ok", FORBIDDEN)


def cases(case):
    for group in (gadgets, opcodes, names, structure, limits):
        group(case)
