/* The pickle machine: what each opcode makes, hostile names wherever they hide, broken streams, bounds, memory that ends.
 *
 * Pickles are written out as bytes; what they make is compared as text (see render).
 * SPDX-License-Identifier: Apache-2.0
 */
/* LDFLAGS: -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc */
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"
#include "analyzer/formats/pickle.h"
#include "tests/support/alloc_fault.h"
#include "tests/support/pickle_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
#define P(bytes) bytes, sizeof(bytes) - 1

enum { BUDGET = 1 << 20 };

static pickle_source source_of(const void *bytes, size_t n)
{
    return (pickle_source){.bytes = bytes, .length = n, .budget = BUDGET};
}

/* ---- values as text ---- */

static void render(strbuf *out, const pickle_value *v, int depth)
{
    static const char *const brackets[] = {[PICKLE_TUPLE] = "()", [PICKLE_LIST] = "[]", [PICKLE_SET] = "<>", [PICKLE_DICT] = "{}", [PICKLE_PERSISTENT] = "@;", [PICKLE_CALL] = "!;"};
    if (depth > 8) {
        strbuf_puts(out, "...");
        return;
    }
    switch (v->kind) {
    case PICKLE_NONE: strbuf_puts(out, "None"); return;
    case PICKLE_BOOL: strbuf_puts(out, v->integer ? "True" : "False"); return;
    case PICKLE_INT: strbuf_printf(out, "%lld", (long long)v->integer); return;
    case PICKLE_FLOAT: strbuf_printf(out, "%gf", v->number); return;
    case PICKLE_BIG:
        strbuf_puts(out, "big:");
        for (size_t i = 0; i < v->length; i++)
            strbuf_printf(out, "%02x", (unsigned char)v->text[i]);
        return;
    case PICKLE_STRING:
    case PICKLE_BYTES:
        assert_int_equal(v->text[v->length], 0);
        strbuf_putc(out, v->kind == PICKLE_STRING ? '"' : '\'');
        text_escape(out, v->text, v->length);
        strbuf_putc(out, v->kind == PICKLE_STRING ? '"' : '\'');
        return;
    case PICKLE_GLOBAL: strbuf_puts(out, v->text); return;
    default: break;
    }
    strbuf_putc(out, brackets[v->kind][0]);
    for (size_t i = 0; i < v->n; i++) {
        strbuf_puts(out, i ? "," : "");
        render(out, v->items[i], depth + 1);
    }
    strbuf_putc(out, brackets[v->kind][1]);
}

/* ---- what opcodes make ---- */

static const struct {
    const char *bytes;
    size_t n;
    const char *value;
} made[] = {
    {P("N."), "None"},
    {P("\x80\x02\x88."), "True"},
    {P("\x89."), "False"},
    {P("I01\n."), "True"},
    {P("I00\n."), "False"},
    {P("I42\n."), "42"},
    {P("I -7 \n."), "-7"},
    {P("I0x1F\n."), "31"},
    {P("I0b101\n."), "5"},
    {P("I0o17\n."), "15"},
    {P("I017\n."), "15"},
    {P("I1_000\n."), "1000"},
    {P("I+0\n."), "0"},
    {P("L12L\n."), "12"},
    {P("L-9223372036854775808L\n."), "-9223372036854775808"},
    {P("L9223372036854775808\n."), "big:000000000000008000"},
    {P("L1000000000000000000000000000000000000000000L\n."), "big:"},
    {P("J\xff\xff\xff\xff."), "-1"},
    {P("J\x00\x00\x00\x80."), "-2147483648"},
    {P("K\xff."), "255"},
    {P("M\x01\x02."), "513"},
    {P("\x8a\x00."), "0"},
    {P("\x8a\x02\xff\x00."), "255"},
    {P("\x8a\x01\xff."), "-1"},
    {P("\x8a\x03\xff\xff\xff."), "-1"},
    {P("\x8b\x02\x00\x00\x00\x00\x80."), "-32768"},
    {P("\x8a\x0al\xfc\x9c" "F\xf9 j\xa8P\x19."), "big:6cfc9c46f9206aa85019"},
    {P("\x8a\x0a\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00."), "1"},
    {P("F1.5\n."), "1.5f"},
    {P("F -2e3 \n."), "-2000f"},
    {P("F1_0.5\n."), "10.5f"},
    {P("Finf\n."), "inff"},
    {P("F0.1111111111111111111111111111111111111111111111111111111111111111111111\n."), "nanf"},
    {P("G?\xf8\x00\x00\x00\x00\x00\x00."), "1.5f"},
    {P("S'a\\'b\\n\\x41\\101\\q\\\\'\n."), "\"a'b\\x0aAA\\q\\\""},
    {P("S\"x\" \n."), "\"x\""},
    {P("S'\\x4'\n."), "\"\\x4\""},
    {P("S''\n."), "\"\""},
    {P("T\x02\x00\x00\x00hi."), "\"hi\""},
    {P("U\x02hi."), "\"hi\""},
    {P("V\\u00e9\\U0001F600\xe9\\x\\u12\n."), "\"\xC3\xA9\xF0\x9F\x98\x80\xC3\xA9\\x\\u12\""},
    {P("V\\\n."), "\"\\\""},
    {P("V\\u20ac\\UFFFFFFFF\n."), "\"\xE2\x82\xAC\\UFFFFFFFF\""},
    {P("X\x02\x00\x00\x00hi."), "\"hi\""},
    {P("\x8c\x02hi."), "\"hi\""},
    {P("\x8d\x02\x00\x00\x00\x00\x00\x00\x00hi."), "\"hi\""},
    {P("U\x03" "a\x00" "b."), "\"a\\x00b\""},
    {P("C\x02hi."), "'hi'"},
    {P("B\x02\x00\x00\x00hi."), "'hi'"},
    {P("\x8e\x02\x00\x00\x00\x00\x00\x00\x00hi."), "'hi'"},
    {P("\x96\x02\x00\x00\x00\x00\x00\x00\x00hi."), "'hi'"},
    {P(")."), "()"},
    {P("(t."), "()"},
    {P("K\x01\x85."), "(1)"},
    {P("K\x01K\x02\x86."), "(1,2)"},
    {P("K\x01K\x02K\x03\x87."), "(1,2,3)"},
    {P("(K\x01K\x02t."), "(1,2)"},
    {P("]K\x01" "a(K\x02K\x03" "e(e."), "[1,2,3]"},
    {P("(K\x01l."), "[1]"},
    {P("}K\x01K\x02s(K\x03K\x04K\x05K\x06u."), "{1,2,3,4,5,6}"},
    {P("(K\x01K\x02" "d."), "{1,2}"},
    {P("}(U\x01" "aK\x01U\x01" "aK\x02u."), "{\"a\",1,\"a\",2}"},
    {P("\x8f(K\x01\x90."), "<1>"},
    {P("(K\x01\x91."), "<1>"},
    {P("K\x01K\x02" "0."), "1"},
    {P("K\x01(K\x02" "1."), "1"},
    {P("K\x01(0."), "1"},
    {P("K\x07p9999999999\n0g9999999999\n."), "7"},
    {P("K\x07q\x05" "0h\x05."), "7"},
    {P("K\x07r\x00\x28\x6b\xee" "0j\x00\x28\x6b\xee."), "7"},
    {P("K\x07p4\n0g 4 \n."), "7"},
    {P("K\x07\x94K\x08\x94K\x09q\x01" "0" "0" "0h\x00h\x01\x86."), "(7,9)"},
    {P("\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x01."), "1"},
    {P("ccollections\nOrderedDict\n."), "collections.OrderedDict"},
    {P("ccollections\nOrderedDict\n)R(K\x01K\x02u}b."), "{1,2}"},
    {P("ccollections\nOrderedDict\n]]K\x01" "aK\x02" "aaK\x03K\x04\x86" "a\x85R."), "{1,2,3,4}"},
    {P("ccollections\nCounter\n}K\x01K\x02s\x85R."), "{1,2}"},
    {P("ccollections\nOrderedDict\n]K\x01" "a\x85R."), "!collections.OrderedDict,([1]);"},
    {P("ccollections\nOrderedDict\n]]a\x85R."), "!collections.OrderedDict,([[]]);"},
    {P("ccollections\nOrderedDict\nK\x01\x85R."), "!collections.OrderedDict,(1);"},
    {P("ctorch\nSize\nK\x01\x85R."), "!torch.Size,(1);"},
    {P("ctorch.nn.parameter\nParameter\n)\x81}b."), "!torch.nn.parameter.Parameter,(),{};"},
    {P("ctorch.nn.parameter\nParameter\n)\x81}b]b."), "!torch.nn.parameter.Parameter,(),[];"},
    {P("K\x01Q."), "@1;"},
    {P("Pabc\n."), "@\"abc\";"},
    {P("\x8c\x05torch\x8c\x04Size\x93."), "torch.Size"},
    {P("]q\x00h\x00" "a."), "[[[[[[[[[...]]]]]]]]]"},
};

static void every_opcode_makes_its_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(made); i++) {
        pickle_source source = source_of(made[i].bytes, made[i].n);
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        lora_error err = {0};
        pickle_value *root = NULL;
        size_t at = 0;
        assert_int_equal(pickle_run(&source, &at, mem, &seen, &root, &err), LORA_OK);
        assert_int_equal(at, made[i].n);
        strbuf text = {0};
        render(&text, root, 0);
        assert_string_equal(text.data, made[i].value);
        for (size_t k = 0; k < seen.n; k++)
            assert_int_equal(seen.list[k].kind, SEEN_PICKLE_ANOMALY);
        strbuf_free(&text);
        arena_destroy(mem);
    }
}

static void a_value_knows_where_its_opcode_lies(void **state)
{
    (void)state;
    pickle_source source = source_of(P("(U\x01" "aM\x01\x02l."));
    source.offset = 1000;
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    lora_error err = {0};
    pickle_value *root = NULL;
    size_t at = 0;
    assert_int_equal(pickle_run(&source, &at, mem, &seen, &root, &err), LORA_OK);
    assert_int_equal(root->at, 1007);
    assert_int_equal(root->items[0]->at, 1001);
    assert_int_equal(root->items[1]->at, 1004);
    assert_true(sizeof(pickle_value) <= 40);
    arena_destroy(mem);
}

/* ---- hostile pickles ---- */

static const struct {
    const char *bytes;
    size_t n;
    const char *subject;
} hostile[] = {
    {P("cos\nsystem\n(S'id'\ntR."), "os.system"},
    {P("\x80\x02" "cposix\nsystem\nq\x00X\x02\x00\x00\x00idq\x01\x85q\x02Rq\x03."), "posix.system"},
    {P("cnt\nsystem\n(S'id'\ntR."), "nt.system"},
    {P("c__builtin__\neval\n(S'1'\ntR."), "builtins.eval"},
    {P("c__builtin__\nexecfile\n."), "builtins.execfile"},
    {P("cbuiltins\nexec\n(S'1'\ntR."), "builtins.exec"},
    {P("cbuiltins\ngetattr\n."), "builtins.getattr"},
    {P("c__builtin__\nreduce\n."), "functools.reduce"},
    {P("c__builtin__\nintern\n."), "sys.intern"},
    {P("ccopy_reg\n_reconstructor\n."), "copyreg._reconstructor"},
    {P("ccommands\ngetoutput\n."), "subprocess.getoutput"},
    {P("curllib\nurlopen\n."), "urllib.request.urlopen"},
    {P("cexceptions\nValueError\n."), "builtins.ValueError"},
    {P("csubprocess\nPopen\n."), "subprocess.Popen"},
    {P("crunpy\n_run_code\n."), "runpy._run_code"},
    {P("cpip\nmain\n."), "pip.main"},
    {P("coperator\nmethodcaller\n."), "operator.methodcaller"},
    {P("cfunctools\npartial\n."), "functools.partial"},
    {P("cpkgutil\nresolve_name\n."), "pkgutil.resolve_name"},
    {P("casyncio.unix_events\n_UnixSubprocessTransport._start\n."), "asyncio.unix_events._UnixSubprocessTransport._start"},
    {P("ctypes\nCodeType\n."), "types.CodeType"},
    {P("ctorch\nload\n."), "torch.load"},
    {P("ctorch.hub\nload\n."), "torch.hub.load"},
    {P("ctorch.storage\n_load_from_bytes\n."), "torch.storage._load_from_bytes"},
    {P("ctorch.serialization\nload\n."), "torch.serialization.load"},
    {P("ctorch.jit\nload\n."), "torch.jit.load"},
    {P("ctorch\n_utils\n."), "torch._utils"},
    {P("cnumpy\ndtype\n."), "numpy.dtype"},
    {P("cmodel\nNet\n."), "model.Net"},
    {P("cos\r\nsystem\n."), "os\r.system"},
    {P("c os\nsystem\n."), " os.system"},
    {P("(S'id'\nios\nsystem\n."), "os.system"},
    {P("ios\nsystem\n"), "os.system"},
    {P("(cos\nsystem\nS'id'\no0N."), "os.system"},
    {P("\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R."), "os.system"},
    {P("\x80\x04\x95\xff\xff\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93."), "os.system"},
    {P("S'os'\nS'system'\n\x93."), "os.system"},
    {P("Vo\\u0073\nVsystem\n\x93."), "os.system"},
    {P("\x8c\x02os\x94\x8c\x06system\x94" "00h\x00h\x01\x93."), "os.system"},
    {P("\x8c\x06system\x94\x8c\x02os\x8c\x01x0h\x00\x93."), "os.system"},
    {P("\x8c\x02osr\xff\xff\xff\xff" "0j\xff\xff\xff\xff\x8c\x06system\x93."), "os.system"},
    {P("\x8c\x0btorch._util\x8c\x12_rebuild_tensor_v2\x93."), "torch._util._rebuild_tensor_v2"},
    {P("\x8c\x05torch\x8c\x13Tensor.__setstate__\x93."), "torch.Tensor.__setstate__"},
    {P("\x8c\x05torch\x8c\x19_utils._rebuild_tensor_v2\x93."), "torch._utils._rebuild_tensor_v2"},
    {P("K\x01K\x02\x93."), "<not a string>"},
    {P("\x8c\x02os}\x93."), "<not a string>"},
    {P("C\x02os\x8c\x06system\x93."), "<not a string>"},
    {P("\x82\x05."), "copyreg.extension.5"},
    {P("\x83\x05\x01."), "copyreg.extension.261"},
    {P("\x84\x05\x00\x00\x80."), "copyreg.extension.2147483653"},
    {P("ctorch\nSize\n}b."), "torch.Size"},
    {P("ctorch\nSize\nK\x01K\x02s."), "torch.Size"},
    {P("ctorch\nSize\n(K\x01K\x02u."), "torch.Size"},
    {P("ctorch\nSize\nK\x01" "a."), "torch.Size"},
    {P("ctorch\nSize\n(K\x01" "e."), "torch.Size"},
    {P("ctorch\nSize\n)R)R."), "<not a name>"},
    {P("K\x01)\x81."), "<not a name>"},
    {P("cos\nsystem\n)}\x92."), "os.system"},
    {P("cos\nsystem"), "os.system"},
    {P("cos\nsystem\n\xff\xff"), "os.system"},
    {P("0cos\nsystem\n."), "os.system"},
    {P("h\x07" "cos\nsystem\n(S'id'\ntR."), "os.system"},
    {P("h\x07\x8c\x02os\x8c\x06system\x93."), "os.system"},
    {P("tios\nsystem\n."), "os.system"},
    {P("N.cos\nsystem\n."), "os.system"},
    {P("\x80\x00" "cos\nsystem\n."), "os.system"},
    {P("\x80\xff" "cos\nsystem\n."), "os.system"},
    {P("N\x80\x02" "0cos\nsystem\n."), "os.system"},
    {P("\x8a\x0al\xfc\x9c" "F\xf9 j\xa8P\x19.\x80\x02" "cbuiltins\neval\nU\x01" "1\x85R."), "builtins.eval"},
    {P("csys\nmodules\nU\x05torchcos\nsystem\ns."), "sys.modules"},
    {P("U\x02osU\x06s\x00stem\x93."), "os.s?stem"},
};

static const observation *find(const observations *seen, observation_kind kind, const char *subject)
{
    for (size_t i = 0; i < seen->n; i++)
        if (seen->list[i].kind == kind && (!subject || (seen->list[i].subject && strcmp(seen->list[i].subject, subject) == 0)))
            return &seen->list[i];
    return NULL;
}

static void a_forbidden_name_is_seen_wherever_it_hides(void **state)
{
    (void)state;
    assert_true(COUNT(hostile) >= 40);
    for (size_t i = 0; i < COUNT(hostile); i++) {
        arena *mem = arena_create();
        observations scanned = {.mem = mem};
        pickle_source source = source_of(hostile[i].bytes, hostile[i].n);
        source.member = "root/data.pkl";
        lora_error err = {0};
        assert_int_equal(pickle_scan(&source, &scanned, &err), LORA_OK);
        const observation *o = find(&scanned, SEEN_FORBIDDEN_GLOBAL, hostile[i].subject);
        if (!o)
            print_error("row %zu: %s not seen\n", i, hostile[i].subject ? hostile[i].subject : "nothing");
        assert_non_null(o);
        assert_non_null(strstr(o->text, "in \"root/data.pkl\""));
        assert_true(o->offset < hostile[i].n);
        arena_destroy(mem);
    }
}

static void a_name_is_seen_though_the_stream_breaks_behind_it(void **state)
{
    (void)state;
    static const char bytes[] = "\x80\x02}(U\x01xcposix\nsystem\nU\x02id\x85Ru.";
    for (size_t n = sizeof "\x80\x02}(U\x01xcposix\nsystem" - 1; n < sizeof bytes; n++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = source_of(bytes, n);
        lora_error err = {0};
        pickle_value *root = NULL;
        size_t at = 0;
        lora_code code = pickle_run(&source, &at, mem, &seen, &root, &err);
        assert_int_equal(code, n == sizeof bytes - 1 ? LORA_OK : LORA_E_PICKLE);
        const observation *o = find(&seen, SEEN_FORBIDDEN_GLOBAL, "posix.system");
        assert_non_null(o);
        assert_int_equal(o->offset, 7);
        arena_destroy(mem);
    }
}

static void the_message_tells_what_is_known_of_a_name(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        const char *part;
    } rows[] = {
        {"cos\nsystem\n.", "which can run code"},
        {"cmodel\nNet\n.", "which no checkpoint needs"},
        {"ctorch\nTensor.data\n.", "through an attribute"},
        {"c__builtin__\neval\n.", "written with Python 2's module \"__builtin__\""},
        {"cbuiltins\neval.x\n.", "which can run code"},
        {"ctorch\nSize\n}b.", "sets attributes of \"torch.Size\""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = source_of(rows[i].bytes, strlen(rows[i].bytes));
        assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
        assert_int_equal(seen.n, 1);
        assert_non_null(strstr(seen.list[0].text, rows[i].part));
        arena_destroy(mem);
    }
}

static void names_that_checkpoints_use_are_allowed(void **state)
{
    (void)state;
    static const char *const names[][2] = {
        {"collections", "OrderedDict"}, {"collections", "Counter"}, {"torch", "FloatStorage"}, {"torch", "BFloat16Storage"},
        {"torch.cuda", "HalfStorage"}, {"torch.storage", "UntypedStorage"}, {"torch.storage", "_TypedStorage"},
        {"torch._utils", "_rebuild_tensor_v2"}, {"torch._utils", "_rebuild_parameter"}, {"torch._utils", "_rebuild_tensor_v3"},
        {"torch._utils", "_rebuild_qtensor"}, {"torch._tensor", "_rebuild_from_type_v2"}, {"torch", "float8_e4m3fn"},
        {"torch", "Size"}, {"torch", "Tensor"}, {"torch.sparse", "FloatTensor"}, {"torch.cuda.sparse", "HalfTensor"},
        {"torch.nn.parameter", "Parameter"}, {"torch.serialization", "_get_layout"}, {"torch", "device"},
        {"_codecs", "encode"}, {"__builtin__", "set"}, {"builtins", "bytearray"}, {"builtins", "complex"},
    };
    static const char *const near[][2] = {
        {"collections", "OrderedDict.update"}, {"Collections", "OrderedDict"}, {"torch", "EvilStorage"}, {"torch.x", "FloatStorage"},
        {"torch", "Storage"}, {"torch._utils", "_rebuild_tensor_v2 "}, {"torch._utils", "_rebuild"}, {"torch.sparse", "FloatStorage"},
        {"torch.cuda", "EvilTensor"}, {"_codecs", "decode"}, {"builtins", "setattr"}, {"torch", "float9"},
        {"torch", "x.FloatStorage"}, {"", "FloatStorage"}, {"torch.", "FloatStorage"},
    };
    for (size_t i = 0; i < COUNT(names) + COUNT(near); i++) {
        bool allowed = i < COUNT(names);
        const char *const *name = allowed ? names[i] : near[i - COUNT(names)];
        pickle_writer w = {0};
        pickle_write_name(&w, name[0], name[1]);
        pickle_write_op(&w, '.');
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = source_of(w.bytes, w.n);
        assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
        if (seen.n != !allowed)
            print_error("%s.%s\n", name[0], name[1]);
        assert_int_equal(seen.n, !allowed);
        arena_destroy(mem);
        free(w.bytes);
    }
}

/* ---- anomalies and broken streams ---- */

static const struct {
    const char *bytes;
    size_t n;
    const char *part; /* of the note; NULL: none */
} odd[] = {
    {P("\x80\x02N."), NULL},
    {P("N.N."), "more than one pickle"},
    {P("N.?"), "bytes follow the pickle"},
    {P("N.N.?"), "breaks"},
    {P("N"), "breaks"},
    {P("\x80\x06N."), "no Python knows"},
    {P("\x80\x01N."), "older"},
    {P("N\x80\x02."), "not the first"},
    {P("NN."), "left on the stack"},
    {P("N(N."), "left on the stack"},
    {P("N2."), "DUP"},
    {P("(i__main__\nX\n."), "INST"},
    {P("(ctorch\nSize\no."), "OBJ"},
    {P("\x82\x01."), "EXT"},
    {P("ctorch\nSize\n)}\x92."), "NEWOBJ_EX"},
    {P("ctorch\nSize\nNR."), "no tuple"},
    {P("NNb."), "a state"},
    {P("NNa."), "cannot hold"},
    {P("]NNs."), "cannot hold"},
    {P("\x97."), "out-of-band"},
    {P("C\x01x\x98."), "out-of-band"},
    {P("\x95\xff\x00\x00\x00\x00\x00\x00\x00N."), "longer than the pickle"},
    {P("\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x95\x02\x00\x00\x00\x00\x00\x00\x00N."), "inside a frame"},
};

static void what_torch_never_writes_is_noted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(odd); i++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = source_of(odd[i].bytes, odd[i].n);
        assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
        bool found = !odd[i].part && !seen.n;
        for (size_t k = 0; k < seen.n && odd[i].part; k++)
            found |= seen.list[k].kind == SEEN_PICKLE_ANOMALY && strstr(seen.list[k].text, odd[i].part);
        if (!found)
            print_error("row %zu: %s\n", i, odd[i].part ? odd[i].part : "silence");
        assert_true(found);
        arena_destroy(mem);
    }
}

static const struct {
    const char *bytes;
    size_t n;
    uint64_t offset;
    const char *part;
} broken[] = {
    {P(""), 0, "without STOP"},
    {P("N"), 1, "without STOP"},
    {P("\x80"), 0, "inside an opcode"},
    {P("N?"), 1, "no such opcode"},
    {P("."), 0, "too few"},
    {P("(."), 1, "too few"},
    {P("0"), 0, "too few"},
    {P("2"), 0, "too few"},
    {P("1"), 0, "no MARK"},
    {P("t"), 0, "no MARK"},
    {P("]e"), 1, "no MARK"},
    {P("(e"), 1, "too few"},
    {P("Na"), 1, "too few"},
    {P("}Ns"), 2, "too few"},
    {P("}(Nu"), 3, "odd number"},
    {P("(Nd"), 2, "odd number"},
    {P("N\x86"), 1, "too few"},
    {P("NR"), 1, "too few"},
    {P("NN\x92"), 2, "too few"},
    {P("N\x93"), 1, "too few"},
    {P("Nb"), 1, "too few"},
    {P("o"), 0, "no MARK"},
    {P("(o"), 1, "too few"},
    {P("itorch\nSize\n"), 0, "no MARK"},
    {P("Q"), 0, "too few"},
    {P("q\x01"), 0, "too few"},
    {P("\x94"), 0, "too few"},
    {P("\x98"), 0, "too few"},
    {P("h\x01"), 0, "no such entry"},
    {P("gx\n"), 0, "no number"},
    {P("Np-1\n"), 1, "no number"},
    {P("Np99999999999999999999\n"), 1, "no number"},
    {P("Np\n"), 1, "no number"},
    {P("I\n"), 0, "not a number"},
    {P("I1x\n"), 0, "not a number"},
    {P("I_\n"), 0, "not a number"},
    {P("L0x\n"), 0, "not a number"},
    {P("F\n"), 0, "not a number"},
    {P("F0x1p3\n"), 0, "not a number"},
    {P("F1.5z\n"), 0, "not a number"},
    {P("Sx\n"), 0, "quotes"},
    {P("S'x\n"), 0, "quotes"},
    {P("S'\n"), 0, "quotes"},
    {P("T\xff\xff\xff\xff"), 0, "negative"},
    {P("\x8b\x00\x00\x00\x80"), 0, "negative"},
    {P("X\xff\xff\xff\xff" "abc"), 0, "inside an opcode"},
    {P("\x8d\xff\xff\xff\xff\xff\xff\xff\xff" "abc"), 0, "inside an opcode"},
    {P("\x95\x00"), 0, "inside an opcode"},
    {P("ctorch"), 0, "inside an opcode"},
    {P("ctorch\n"), 0, "inside an opcode"},
    {P("I12"), 0, "inside an opcode"},
};

static void a_broken_stream_is_refused_where_it_breaks(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(broken); i++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = source_of(broken[i].bytes, broken[i].n);
        source.offset = 500;
        lora_error err = {0};
        pickle_value *root = NULL;
        size_t at = 0;
        assert_int_equal(pickle_run(&source, &at, mem, &seen, &root, &err), LORA_E_PICKLE);
        if (!strstr(err.message, broken[i].part) || err.offset != 500 + broken[i].offset)
            print_error("row %zu: %s at %llu\n", i, err.message, (unsigned long long)err.offset);
        assert_non_null(strstr(err.message, broken[i].part));
        assert_int_equal(err.offset, 500 + broken[i].offset);
        assert_int_equal(at, broken[i].offset);
        assert_null(root);
        arena_destroy(mem);
    }
}

/* ---- bounds ---- */

static lora_code run_within(uint64_t budget, const void *bytes, size_t n, observations *seen, lora_error *err)
{
    pickle_source source = {.bytes = bytes, .length = n, .budget = budget};
    arena *mem = arena_create();
    pickle_value *root = NULL;
    size_t at = 0;
    *seen = (observations){.mem = mem};
    lora_code code = pickle_run(&source, &at, mem, seen, &root, err);
    arena_destroy(mem);
    return code;
}

static void memory_stays_within_the_budget(void **state)
{
    (void)state;
    enum { N = 200000 };
    unsigned char *bytes = malloc(5 * N + 1);
    assert_non_null(bytes);
    observations seen;
    static const char makers[] = {']', '(', 'N', '2'};
    for (size_t i = 0; i < sizeof makers; i++) {
        lora_error err = {0};
        memset(bytes, makers[i], N);
        bytes[0] = i == 1 ? '(' : 'N';
        bytes[N] = '.';
        assert_int_equal(run_within(100000, bytes, N + 1, &seen, &err), LORA_E_PICKLE_LIMIT);
        assert_true(err.has_offset);
    }
    lora_error err = {0};
    memset(bytes, 'N', N);
    bytes[N] = '.';
    assert_int_equal(run_within(16 * N + 1000, bytes, N + 1, &seen, &err), LORA_OK); /* constants exist once */
    size_t n = 1;
    bytes[0] = 'N';
    for (uint32_t i = 0; i < 5000; i++) { /* indices of the memo that fall on one place of a table by multiplication */
        uint32_t index = 4000000000u - i * 65536u;
        bytes[n++] = 'r';
        for (int k = 0; k < 4; k++)
            bytes[n++] = (unsigned char)(index >> 8 * k);
    }
    bytes[n++] = '.';
    err = (lora_error){0};
    assert_int_equal(run_within(4 << 20, bytes, n, &seen, &err), LORA_OK);
    err = (lora_error){0};
    assert_int_equal(run_within(20000, bytes, n, &seen, &err), LORA_E_PICKLE_LIMIT);
    err = (lora_error){0};
    assert_int_equal(run_within(10, "N.", 2, &seen, &err), LORA_E_PICKLE_LIMIT);
    free(bytes);
}

static void an_entry_put_again_has_its_new_value_wherever_its_index_lay(void **state)
{
    (void)state;
    pickle_writer w = {0};
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    pickle_write(&w, "K\x01r\xe8\x03\x00\x00", 7); /* 1000 is far now */
    for (int i = 0; i < 300; i++) {
        pickle_write(&w, "Nq", 2);
        pickle_write_op(&w, i % 256);
    }
    pickle_write(&w, "K\x02r\xe8\x03\x00\x00j\xe8\x03\x00\x00K\x03\x94", 15); /* and is not here; then MEMOIZE: entry 257 */
    pickle_write(&w, "j\x01\x01\x00\x00\x87.", 7);
    pickle_source source = source_of(w.bytes, w.n);
    pickle_value *root = NULL;
    size_t at = 0;
    assert_int_equal(pickle_run(&source, &at, mem, &seen, &root, NULL), LORA_OK);
    assert_int_equal(root->n, 3);
    assert_int_equal(root->items[0]->integer, 2);
    assert_int_equal(root->items[1]->integer, 3);
    assert_int_equal(root->items[2]->integer, 3);
    free(w.bytes);
    arena_destroy(mem);
}

static void notes_are_bounded_and_forbidden_names_are_kept(void **state)
{
    (void)state;
    pickle_writer w = {0};
    char name[32];
    for (int i = 0; i < 60000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        pickle_write_name(&w, "m", name);
        pickle_write_op(&w, '0');
    }
    pickle_write(&w, "N.", 2);
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    pickle_source source = {.bytes = w.bytes, .length = w.n, .budget = LIMIT_PICKLE_MEMORY};
    assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
    assert_int_equal(seen.n, LIMIT_OBSERVATIONS);
    assert_int_equal(seen.n_dropped, 60000 - LIMIT_OBSERVATIONS);
    for (size_t i = 0; i < seen.n; i++)
        assert_int_equal(seen.list[i].kind, SEEN_FORBIDDEN_GLOBAL);
    free(w.bytes);
    arena_destroy(mem);
}

static void a_name_of_megabytes_is_cut_and_forbidden(void **state)
{
    (void)state;
    pickle_writer w = {0};
    char *name = calloc(1, 1000001);
    assert_non_null(name);
    memset(name, 'a', 1000000);
    pickle_write_name(&w, "torch", name);
    pickle_write_op(&w, '.');
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    pickle_source source = source_of(w.bytes, w.n);
    assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
    assert_int_equal(seen.n, 1);
    assert_int_equal(strlen(seen.list[0].subject), 240);
    free(name);
    free(w.bytes);
    arena_destroy(mem);
}

static void names_behind_a_thousand_pickles_are_seen(void **state)
{
    (void)state;
    pickle_writer w = {0};
    for (int i = 0; i < 1000; i++)
        pickle_write(&w, "N.", 2);
    pickle_write(&w, "cos\nsystem\n.", 12);
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    pickle_source source = source_of(w.bytes, w.n);
    assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
    assert_non_null(find(&seen, SEEN_FORBIDDEN_GLOBAL, "os.system"));
    free(w.bytes);
    arena_destroy(mem);
}

static void noise_behind_a_break_names_nothing(void **state)
{
    (void)state;
    static const char noise[] = "N0" "0c\x01\x02\n\xff\nc9a\nb\nc.a\nb\nc\nb\n\x8c\x01?\x8c\x01x\x93.";
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    pickle_source source = source_of(noise, sizeof noise - 1);
    assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
    assert_null(find(&seen, SEEN_FORBIDDEN_GLOBAL, NULL));
    arena_destroy(mem);
}

static void names_behind_a_break_are_found_however_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {P("0cmy_mod2.x\nName_9\n")}, {P("0imy_mod2.x\nName_9\n")}, {P("0cmy_mod2.x\nName_9")},
        {P("0U\x09my_mod2.x\x8c\x06Name_9\x93")}, {P("0Vmy_mod2.x\nX\x06\x00\x00\x00Name_9\x93")},
        {P("0T\x09\x00\x00\x00my_mod2.x\x8d\x06\x00\x00\x00\x00\x00\x00\x00Name_9\x94\x93")},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = source_of(rows[i].bytes, rows[i].n);
        assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
        if (!find(&seen, SEEN_FORBIDDEN_GLOBAL, "my_mod2.x.Name_9"))
            print_error("row %zu\n", i);
        assert_non_null(find(&seen, SEEN_FORBIDDEN_GLOBAL, "my_mod2.x.Name_9"));
        arena_destroy(mem);
    }
}

static void notes_behind_a_break_are_bounded(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write_op(&w, '0');
    for (int i = 0; i < 30000; i++)
        pickle_write(&w, "ca\nb\n", 5);
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    pickle_source source = source_of(w.bytes, w.n);
    assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
    assert_int_equal(seen.n, 2);
    free(w.bytes);
    arena_destroy(mem);
}

/* ---- a first look, and files ---- */

static void what_can_be_a_pickle_is_told_from_what_cannot(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        bool yes;
    } rows[] = {
        {P("\x80\x02}q\x00."), true}, {P("\x80\x02"), true}, {P("\x80\x04\x95"), true}, {P("\x80\x09}q"), false},
        {P("\x80\x02\xff"), false}, {P("cos\nsystem\n(S'id'\ntR."), true}, {P("(dp0\n."), true}, {P("(lp0\nI1\na."), true},
        {P("]q\x00."), true}, {P("}."), true}, {P("I1\n0cos\nsystem\n."), true}, {P("N."), false}, {P("3\n"), false},
        {P("1000\n"), false}, {P("little"), false}, {P("{\"a\": 1}"), false}, {P("(not a pickle)"), false}, {P(""), false},
        {P("c"), false}, {P("class X:\n    pass\n"), false}, {P("Nothing"), false}, {P("\x7f" "ELF"), false},
        {P("\x89PNG\r\n"), false}, {P("(c1\n2\n"), false}, {P(")(((((("), true}, {P("NNNNNNNN"), false},
        {P("\x80\x07" "cos\nsystem\n."), true}, {P("\x80\x02" "c1\nb\n"), true}, {P("(K\x01"), true}, {P("(X"), false},
        {P("]K"), false}, {P("(T\xff\xff\xff\xff"), false}, {P("(i1\nb\n"), false}, {P("NN."), false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        bool yes = pickle_looks_like((const unsigned char *)rows[i].bytes, rows[i].n);
        if (yes != rows[i].yes)
            print_error("row %zu\n", i);
        assert_int_equal(yes, rows[i].yes);
    }
}

static void a_bare_pickle_file_is_scanned(void **state)
{
    (void)state;
    static const char bytes[] = "cos\nsystem\n(S'id'\ntR.";
    file f = file_of_memory(bytes, sizeof bytes - 1);
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    lora_error err = {0};
    assert_int_equal(pickle_file_scan(&f, &seen, &(uint64_t){0}, &err), LORA_OK);
    assert_non_null(find(&seen, SEEN_FORBIDDEN_GLOBAL, "os.system"));
    assert_null(strstr(seen.list[0].text, " in \""));
    arena_destroy(mem);
}

static void a_file_larger_than_the_limit_is_noted(void **state)
{
    (void)state;
    char path[] = "/tmp/test_pickle.XXXXXX";
    file f = {.fd = mkstemp(path)};
    assert_true(f.fd >= 0);
    remove(path);
    assert_int_equal(ftruncate(f.fd, (off_t)LIMIT_PICKLE_BYTES + 1), 0);
    assert_int_equal(pwrite(f.fd, "N.", 2, 0), 2);
    f.size = (uint64_t)LIMIT_PICKLE_BYTES + 1;
    arena *mem = arena_create();
    observations seen = {.mem = mem};
    assert_int_equal(pickle_file_scan(&f, &seen, &(uint64_t){0}, NULL), LORA_OK);
    assert_non_null(strstr(seen.list[0].text, "longer than"));
    lora_error err = {0};
    assert_int_equal(ftruncate(f.fd, 5), 0);
    assert_int_equal(pickle_file_scan(&f, &seen, &(uint64_t){0}, &err), LORA_E_SHRUNK);
    file_close(&f);
    arena_destroy(mem);
}

/* ---- memory ---- */

static void memory_that_ends_anywhere_is_reported(void **state)
{
    (void)state;
    pickle_writer w = {0};
    pickle_write(&w, "\x80\x02](((((((((((((((((((((((((((((((((((((((", 40);
    for (int i = 0; i < 300; i++)
        pickle_write_text(&w, "some text that takes room");
    pickle_write(&w, "r\xff\xff\xff\xffr\xff\xff\xff\x7f" "cos\nsystem\nQ.", 23);
    for (int sticky = 0; sticky < 2; sticky++) {
        bool done = false;
        for (long k = 0; !done; k++) {
            arena *mem = arena_create();
            observations seen = {.mem = mem};
            lora_error err = {0};
            pickle_value *root = NULL;
            size_t at = 0;
            pickle_source source = source_of(w.bytes, w.n);
            alloc_fault_after(k, sticky ? ALLOC_FAULT_STICKY : ALLOC_FAULT_ONCE);
            lora_code code = pickle_run(&source, &at, mem, &seen, &root, &err);
            done = !alloc_fault_end();
            /* a label that gets no memory shows "?" and is no failure */
            assert_true(code == LORA_E_MEMORY || (code == LORA_OK && find(&seen, SEEN_FORBIDDEN_GLOBAL, "os.system")));
            assert_true(!done || code == LORA_OK);
            assert_int_equal(err.code, code);
            arena_destroy(mem);
        }
    }
    free(w.bytes);
}

static void a_scan_without_memory_fails(void **state)
{
    (void)state;
    static const char bytes[] = "cos\nsystem\n0N.cos\npopen\n0(((NNN";
    bool done = false;
    for (long k = 0; !done; k++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        lora_error err = {0};
        file f = file_of_memory(bytes, sizeof bytes - 1);
        alloc_fault_after(k, ALLOC_FAULT_ONCE);
        lora_code code = pickle_file_scan(&f, &seen, &(uint64_t){0}, &err);
        done = !alloc_fault_end();
        assert_true(code == LORA_E_MEMORY || (code == LORA_OK && find(&seen, SEEN_FORBIDDEN_GLOBAL, "os.system") &&
                                              find(&seen, SEEN_FORBIDDEN_GLOBAL, "os.popen")));
        assert_int_equal(err.code, code);
        arena_destroy(mem);
    }
}

static void opcodes_and_indices_that_torch_never_writes_are_anomalies(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        const char *note; /* NULL: none */
    } rows[] = {
#define ROW(bytes, note) {bytes, sizeof bytes - 1, note}
        ROW("\x80\x02Pan id\n.", "PERSID"),
        ROW("\x80\x02}r\xff\xff\xff\xff.", "an index of the memo"),
        ROW("\x80\x02}q\3.", NULL),
        ROW("}p4294967295\n.", "an index of the memo"),
        ROW("}p0\n.", NULL),
#undef ROW
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = {.bytes = (const unsigned char *)rows[i].bytes, .length = rows[i].n, .budget = 1 << 20};
        assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
        assert_int_equal(seen.n, rows[i].note != NULL);
        if (rows[i].note)
            assert_non_null(strstr(seen.list[0].text, rows[i].note));
        arena_destroy(mem);
    }
}

static void places_in_inflated_bytes_are_that_of_their_stream(void **state)
{
    (void)state;
    static const char bytes[] = "NNNcos\nsystem\n.\xff";
    for (int inflated = 0; inflated < 2; inflated++) {
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        pickle_source source = {.bytes = (const unsigned char *)bytes, .length = sizeof bytes - 1, .offset = 100,
                                .inflated = inflated, .budget = 1 << 20};
        assert_int_equal(pickle_scan(&source, &seen, NULL), LORA_OK);
        assert_true(seen.n >= 2);
        const observation *o = find(&seen, SEEN_FORBIDDEN_GLOBAL, "os.system");
        assert_non_null(o);
        assert_int_equal(o->offset, inflated ? 100 : 103);
        for (size_t i = 0; i < seen.n; i++)
            assert_true(seen.list[i].offset == 100 || !inflated);
        arena_destroy(mem);
    }
}

static void the_end_of_the_first_pickle_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        uint64_t end;
    } rows[] = {{"N.", 2}, {"(Vtrue\nios\nsystem\n.\n", 19}, {"N.N.", 2}, {"NN", 0}, {"hello\n", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        file f = file_of_memory(rows[i].bytes, strlen(rows[i].bytes));
        arena *mem = arena_create();
        observations seen = {.mem = mem};
        uint64_t end = 77;
        assert_int_equal(pickle_file_scan(&f, &seen, &end, NULL), LORA_OK);
        assert_int_equal(end, rows[i].end);
        arena_destroy(mem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opcode_makes_its_value),
        cmocka_unit_test(a_value_knows_where_its_opcode_lies),
        cmocka_unit_test(a_forbidden_name_is_seen_wherever_it_hides),
        cmocka_unit_test(a_name_is_seen_though_the_stream_breaks_behind_it),
        cmocka_unit_test(the_message_tells_what_is_known_of_a_name),
        cmocka_unit_test(names_that_checkpoints_use_are_allowed),
        cmocka_unit_test(what_torch_never_writes_is_noted),
        cmocka_unit_test(a_broken_stream_is_refused_where_it_breaks),
        cmocka_unit_test(memory_stays_within_the_budget),
        cmocka_unit_test(an_entry_put_again_has_its_new_value_wherever_its_index_lay),
        cmocka_unit_test(notes_are_bounded_and_forbidden_names_are_kept),
        cmocka_unit_test(a_name_of_megabytes_is_cut_and_forbidden),
        cmocka_unit_test(names_behind_a_thousand_pickles_are_seen),
        cmocka_unit_test(noise_behind_a_break_names_nothing),
        cmocka_unit_test(names_behind_a_break_are_found_however_they_are_written),
        cmocka_unit_test(notes_behind_a_break_are_bounded),
        cmocka_unit_test(what_can_be_a_pickle_is_told_from_what_cannot),
        cmocka_unit_test(a_bare_pickle_file_is_scanned),
        cmocka_unit_test(a_file_larger_than_the_limit_is_noted),
        cmocka_unit_test(memory_that_ends_anywhere_is_reported),
        cmocka_unit_test(a_scan_without_memory_fails),
        cmocka_unit_test(opcodes_and_indices_that_torch_never_writes_are_anomalies),
        cmocka_unit_test(places_in_inflated_bytes_are_that_of_their_stream),
        cmocka_unit_test(the_end_of_the_first_pickle_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
