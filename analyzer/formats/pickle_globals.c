/* pickle_globals.c - which names a pickle may mention.
 *
 * An allow-list: block-lists of what runs code have failed again and again, so a name that nobody listed is refused like
 * one that everybody knows. The second table only chooses the words of the message.
 * Sources: CPython Lib/_compat_pickle.py (names of Python 2); pytorch torch/_weights_only_unpickler.py (tolerated);
 * picklescan, modelscan and fickling (known to run code).
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/pickle_internal.h"

#include <stdio.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

/* A piece of text with its length: names may hold NULs. */
typedef struct {
    const char *text;
    size_t length;
} piece;

static bool is(piece p, const char *s)
{
    return p.length == strlen(s) && memcmp(p.text, s, p.length) == 0;
}

static bool in_list(piece p, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is(p, list[i]))
            return true;
    return false;
}

/* ---- names of Python 2 ---- */

static const char *const module_map[][2] = {
    {"__builtin__", "builtins"}, {"copy_reg", "copyreg"}, {"Queue", "queue"}, {"SocketServer", "socketserver"},
    {"ConfigParser", "configparser"}, {"repr", "reprlib"}, {"tkFileDialog", "tkinter.filedialog"},
    {"tkSimpleDialog", "tkinter.simpledialog"}, {"tkColorChooser", "tkinter.colorchooser"},
    {"tkCommonDialog", "tkinter.commondialog"}, {"Dialog", "tkinter.dialog"}, {"Tkdnd", "tkinter.dnd"},
    {"tkFont", "tkinter.font"}, {"tkMessageBox", "tkinter.messagebox"}, {"ScrolledText", "tkinter.scrolledtext"},
    {"Tkconstants", "tkinter.constants"}, {"Tix", "tkinter.tix"}, {"ttk", "tkinter.ttk"}, {"Tkinter", "tkinter"},
    {"markupbase", "_markupbase"}, {"_winreg", "winreg"}, {"thread", "_thread"}, {"dummy_thread", "_dummy_thread"},
    {"dbhash", "dbm.bsd"}, {"dumbdbm", "dbm.dumb"}, {"dbm", "dbm.ndbm"}, {"gdbm", "dbm.gnu"},
    {"xmlrpclib", "xmlrpc.client"}, {"SimpleXMLRPCServer", "xmlrpc.server"}, {"httplib", "http.client"},
    {"htmlentitydefs", "html.entities"}, {"HTMLParser", "html.parser"}, {"Cookie", "http.cookies"},
    {"cookielib", "http.cookiejar"}, {"BaseHTTPServer", "http.server"}, {"test.test_support", "test.support"},
    {"commands", "subprocess"}, {"urlparse", "urllib.parse"}, {"robotparser", "urllib.robotparser"},
    {"urllib2", "urllib.request"}, {"anydbm", "dbm"}, {"_abcoll", "collections.abc"}, {"cPickle", "pickle"},
    {"_elementtree", "xml.etree.ElementTree"}, {"FileDialog", "tkinter.filedialog"},
    {"SimpleDialog", "tkinter.simpledialog"}, {"DocXMLRPCServer", "xmlrpc.server"},
    {"SimpleHTTPServer", "http.server"}, {"CGIHTTPServer", "http.server"}, {"UserDict", "collections"},
    {"UserList", "collections"}, {"UserString", "collections"}, {"whichdb", "dbm"}, {"StringIO", "io"},
    {"cStringIO", "io"}, {"exceptions", "builtins"},
};

static const struct {
    const char *module, *name, *new_module, *new_name;
} name_map[] = {
    {"__builtin__", "xrange", "builtins", "range"}, {"__builtin__", "reduce", "functools", "reduce"},
    {"__builtin__", "intern", "sys", "intern"}, {"__builtin__", "unichr", "builtins", "chr"},
    {"__builtin__", "unicode", "builtins", "str"}, {"__builtin__", "long", "builtins", "int"},
    {"__builtin__", "basestring", "builtins", "str"}, {"itertools", "izip", "builtins", "zip"},
    {"itertools", "imap", "builtins", "map"}, {"itertools", "ifilter", "builtins", "filter"},
    {"itertools", "ifilterfalse", "itertools", "filterfalse"},
    {"itertools", "izip_longest", "itertools", "zip_longest"},
    {"UserDict", "IterableUserDict", "collections", "UserDict"}, {"exceptions", "StandardError", "builtins", "Exception"},
    {"multiprocessing.forking", "Popen", "multiprocessing.popen_fork", "Popen"},
    {"multiprocessing.process", "Process", "multiprocessing.context", "Process"},
    {"_multiprocessing", "Connection", "multiprocessing.connection", "Connection"},
    {"urllib", "getproxies", "urllib.request", "getproxies"}, {"urllib", "pathname2url", "urllib.request", "pathname2url"},
    {"urllib", "quote", "urllib.parse", "quote"}, {"urllib", "quote_plus", "urllib.parse", "quote_plus"},
    {"urllib", "unquote", "urllib.parse", "unquote"}, {"urllib", "unquote_plus", "urllib.parse", "unquote_plus"},
    {"urllib", "url2pathname", "urllib.request", "url2pathname"}, {"urllib", "urlcleanup", "urllib.request", "urlcleanup"},
    {"urllib", "urlencode", "urllib.parse", "urlencode"}, {"urllib", "urlopen", "urllib.request", "urlopen"},
    {"urllib", "urlretrieve", "urllib.request", "urlretrieve"}, {"urllib2", "HTTPError", "urllib.error", "HTTPError"},
    {"urllib2", "URLError", "urllib.error", "URLError"}, {"_socket", "fromfd", "socket", "fromfd"},
    {"socket", "_socketobject", "socket", "SocketType"},
};

static bool to_python_3(piece *module, piece *name)
{
    for (size_t i = 0; i < COUNT(name_map); i++) {
        if (is(*module, name_map[i].module) && is(*name, name_map[i].name)) {
            *module = (piece){name_map[i].new_module, strlen(name_map[i].new_module)};
            *name = (piece){name_map[i].new_name, strlen(name_map[i].new_name)};
            return true;
        }
    }
    for (size_t i = 0; i < COUNT(module_map); i++) {
        if (is(*module, module_map[i][0])) {
            *module = (piece){module_map[i][1], strlen(module_map[i][1])};
            return true;
        }
    }
    return false;
}

/* ---- the allow-list ---- */

static const char *const storage_types[] = {
    "Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool", "ComplexFloat",
    "ComplexDouble", "QInt8", "QUInt8", "QInt32", "QUInt4x2", "QUInt2x4", "Untyped", "_Untyped", "Typed", "_Typed",
};

static const char *const tensor_types[] = {
    "", "Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool",
};

static const char *const torch_names[] = {
    "Size", "device", "float", "float16", "half", "bfloat16", "float32", "float64", "double", "complex32", "chalf",
    "complex64", "cfloat", "complex128", "cdouble", "int8", "int16", "short", "int32", "int", "int64", "long", "uint8",
    "uint16", "uint32", "uint64", "bool", "quint8", "qint8", "qint32", "quint4x2", "quint2x4", "bits1x8", "bits2x4",
    "bits4x2", "bits8", "bits16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
    "float8_e8m0fnu", "float4_e2m1fn_x2", "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "int1", "int2",
    "int3", "int4", "int5", "int6", "int7", "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine",
    "per_channel_symmetric", "per_channel_affine_float_qparams",
};

static const char *const utils_names[] = {
    "_rebuild_parameter_with_state", "_rebuild_qtensor", "_rebuild_tensor", "_rebuild_tensor_v3",
    "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor", "_rebuild_meta_tensor_no_storage",
    "_rebuild_wrapper_subclass", "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor",
};

static const char *const other_names[][2] = {
    {"collections", "Counter"}, {"torch.nn.parameter", "Parameter"}, {"torch.serialization", "_get_layout"},
    {"_codecs", "encode"}, {"builtins", "bytearray"}, {"builtins", "set"}, {"builtins", "complex"},
    {"torch._tensor", "_rebuild_from_type_v2"},
};

/* Is name one of the types followed by the suffix? */
static bool is_type(piece name, const char *const *types, size_t n, const char *suffix)
{
    size_t tail = strlen(suffix);
    if (name.length < tail || memcmp(name.text + name.length - tail, suffix, tail) != 0)
        return false;
    name.length -= tail;
    return in_list(name, types, n);
}

static bool is_used(piece module, piece name)
{
    if (is(module, "collections"))
        return is(name, "OrderedDict");
    if (is(module, "torch._utils"))
        return is(name, "_rebuild_tensor_v2") || is(name, "_rebuild_parameter");
    return is(module, "torch") && is_type(name, storage_types, COUNT(storage_types), "Storage");
}

static bool is_tolerated(piece module, piece name)
{
    if (is(module, "torch") && in_list(name, torch_names, COUNT(torch_names)))
        return true;
    if (is(module, "torch._utils"))
        return in_list(name, utils_names, COUNT(utils_names));
    if (is(module, "torch.cuda") || is(module, "torch.storage"))
        if (is_type(name, storage_types, COUNT(storage_types), "Storage"))
            return true;
    if (is(module, "torch") || is(module, "torch.cuda") || is(module, "torch.sparse") || is(module, "torch.cuda.sparse"))
        return is_type(name, tensor_types, COUNT(tensor_types), "Tensor");
    for (size_t i = 0; i < COUNT(other_names); i++)
        if (is(module, other_names[i][0]) && is(name, other_names[i][1]))
            return true;
    return false;
}

/* ---- known to run code ---- */

/* With all that is below them. */
static const char *const code_modules[] = {
    "os", "posix", "nt", "ntpath", "posixpath", "subprocess", "_posixsubprocess", "sys", "pty", "runpy", "socket", "_socket",
    "socketserver", "shutil", "importlib", "_frozen_importlib", "_frozen_importlib_external", "imp", "zipimport", "pickle",
    "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "copyreg", "ctypes", "_ctypes", "code", "codeop",
    "bdb", "pdb", "profile", "cProfile", "timeit", "trace", "pydoc", "doctest", "test", "unittest", "venv", "ensurepip",
    "pip", "setuptools", "distutils", "site", "gc", "inspect", "operator", "_operator", "functools", "_functools", "types",
    "pkgutil", "webbrowser", "http", "urllib", "urllib3", "requests", "aiohttp", "ftplib", "smtplib", "poplib", "imaplib",
    "telnetlib", "nntplib", "xmlrpc", "ssl", "asyncio", "multiprocessing", "threading", "_thread", "signal", "atexit",
    "tempfile", "fileinput", "linecache", "mmap", "sqlite3", "tarfile", "zipfile", "platform", "pipes", "pexpect",
    "compileall", "py_compile", "uuid", "idlelib", "lib2to3", "logging", "_io", "_osx_support", "_aix_support", "_pyrepl",
    "_interpreters", "_xxsubinterpreters", "numpy.f2py", "numpy.distutils", "numpy.testing", "numpy.load", "torch.hub",
    "torch._dynamo", "torch._inductor", "torch.jit", "torch.fx", "torch.utils", "torch.load", "torch.compile",
    "torch.package", "torch.distributed", "torch.multiprocessing", "torch.serialization.load",
    "torch.storage._load_from_bytes", "torch.ops", "torch.classes",
};

static const char *const code_builtins[] = {
    "eval", "exec", "execfile", "compile", "open", "file", "input", "__import__", "getattr", "setattr", "delattr",
    "apply", "breakpoint", "globals", "locals", "vars", "map", "filter", "type", "super", "help", "exit", "quit",
};

static bool runs_code(const char *subject, piece module, piece name)
{
    if (is(module, "builtins"))
        for (size_t i = 0; i < COUNT(code_builtins); i++) {
            size_t n = strlen(code_builtins[i]);
            if (name.length >= n && memcmp(name.text, code_builtins[i], n) == 0 && (name.length == n || name.text[n] == '.'))
                return true;
        }
    for (size_t i = 0; i < COUNT(code_modules); i++) {
        size_t n = strlen(code_modules[i]);
        if (strncmp(subject, code_modules[i], n) == 0 && (subject[n] == '.' || subject[n] == '\0'))
            return true;
    }
    return false;
}

/* ---- both ---- */

void pickle_name_of(const char *module, size_t module_length, const char *name, size_t name_length, pickle_name *out)
{
    piece m = {module, module_length}, n = {name, name_length};
    out->renamed = to_python_3(&m, &n);
    size_t length = 0;
    piece whole[] = {m, {".", 1}, n};
    for (size_t i = 0; i < COUNT(whole); i++)
        for (size_t k = 0; k < whole[i].length && length < GLOBAL_BYTES; k++)
            out->text[length++] = whole[i].text[k] ? whole[i].text[k] : '?';
    out->text[length] = '\0';
    out->length = length;
    out->class = is_used(m, n)                  ? GLOBAL_USED
                 : is_tolerated(m, n)           ? GLOBAL_TOLERATED
                 : runs_code(out->text, m, n) ? GLOBAL_RUNS_CODE
                                                : GLOBAL_UNLISTED;
}
