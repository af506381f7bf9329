/* torch_tensor.c - calls and persistent ids taken for what they say, each number against the bytes it speaks of.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/torch_tensor.h"

#include "analyzer/base/bytes.h"
#include "analyzer/base/limits.h"
#include "analyzer/base/text.h"

#include <inttypes.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])
enum { WRAPPERS = 8 };

static bool is_global(const pickle_value *v, const char *name)
{
    return v->kind == PICKLE_GLOBAL && strcmp(v->text, name) == 0;
}

/* ---- calls ---- */

static const struct {
    const char *name;
    torch_kind kind;
    size_t n; /* arguments at least */
} functions[] = {
    {"torch._utils._rebuild_tensor_v2", TORCH_STRIDED, 4},
    {"torch._utils._rebuild_tensor_v3", TORCH_STRIDED, 7},
    {"torch._utils._rebuild_tensor", TORCH_STRIDED, 4},
    {"torch._utils._rebuild_qtensor", TORCH_UNREAD, 0},
    {"torch._utils._rebuild_sparse_tensor", TORCH_UNREAD, 0},
    {"torch._utils._rebuild_sparse_csr_tensor", TORCH_UNREAD, 0},
    {"torch._utils._rebuild_meta_tensor_no_storage", TORCH_UNREAD, 0},
    {"torch._utils._rebuild_wrapper_subclass", TORCH_UNREAD, 0},
    {"torch._utils._rebuild_device_tensor_from_numpy", TORCH_UNREAD, 0},
    {"torch._utils._rebuild_device_tensor_from_cpu_tensor", TORCH_UNREAD, 0},
};
enum { DTYPE_ARGUMENT = 6 };

static const char *const wrappers[] = {"torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
                                       "torch.nn.parameter.Parameter"};

/* Takes one wrapper off; false when there is none. */
static bool unwrap(const pickle_value **function, const pickle_value **arguments, uint64_t *at)
{
    const pickle_value *a = *arguments;
    if (is_global(*function, "torch._tensor._rebuild_from_type_v2") && a->n >= 3 && a->items[2]->kind == PICKLE_TUPLE) {
        *function = a->items[0];
        *arguments = a->items[2];
        return true;
    }
    for (size_t i = 0; i < COUNT(wrappers); i++) {
        if (is_global(*function, wrappers[i]) && a->n > 0 && a->items[0]->kind == PICKLE_CALL) {
            *at = a->items[0]->at;
            *function = a->items[0]->items[0];
            *arguments = a->items[0]->items[1];
            return true;
        }
    }
    return false;
}

torch_call torch_call_of(const pickle_value *v)
{
    torch_call call = {.kind = TORCH_OTHER, .at = v->at};
    if (v->kind != PICKLE_CALL)
        return call;
    const pickle_value *function = v->items[0], *arguments = v->items[1];
    for (int i = 0; i < WRAPPERS && unwrap(&function, &arguments, &call.at); i++)
        ;
    if (function->kind != PICKLE_GLOBAL)
        return call;
    call.function = function->text;
    call.arguments = arguments;
    for (size_t i = 0; i < COUNT(functions); i++)
        if (strcmp(function->text, functions[i].name) == 0)
            call.kind = functions[i].kind;
    return call;
}

/* ---- dtypes ---- */

static const struct {
    const char *name;
    tensor_dtype dtype;
    bool quantised; /* dtype tells the size of an element only */
} storage_dtypes[] = {
    {"Float", DTYPE_F32, false},     {"Half", DTYPE_F16, false},         {"BFloat16", DTYPE_BF16, false},
    {"Double", DTYPE_F64, false},    {"Long", DTYPE_I64, false},         {"Int", DTYPE_I32, false},
    {"Short", DTYPE_I16, false},     {"Char", DTYPE_I8, false},          {"Byte", DTYPE_U8, false},
    {"Bool", DTYPE_BOOL, false},     {"ComplexFloat", DTYPE_C64, false}, {"ComplexDouble", DTYPE_C128, false},
    {"Untyped", DTYPE_COUNT, false}, {"_Untyped", DTYPE_COUNT, false},   {"QInt8", DTYPE_I8, true},
    {"QUInt8", DTYPE_U8, true},      {"QInt32", DTYPE_I32, true},        {"QUInt4x2", DTYPE_U8, true},
    {"QUInt2x4", DTYPE_U8, true},
};

static const struct {
    const char *name;
    tensor_dtype dtype;
} torch_dtypes[] = {
    {"float32", DTYPE_F32},
    {"float", DTYPE_F32},
    {"float16", DTYPE_F16},
    {"half", DTYPE_F16},
    {"bfloat16", DTYPE_BF16},
    {"float64", DTYPE_F64},
    {"double", DTYPE_F64},
    {"int64", DTYPE_I64},
    {"long", DTYPE_I64},
    {"int32", DTYPE_I32},
    {"int", DTYPE_I32},
    {"int16", DTYPE_I16},
    {"short", DTYPE_I16},
    {"int8", DTYPE_I8},
    {"uint8", DTYPE_U8},
    {"uint16", DTYPE_U16},
    {"uint32", DTYPE_U32},
    {"uint64", DTYPE_U64},
    {"bool", DTYPE_BOOL},
    {"complex64", DTYPE_C64},
    {"cfloat", DTYPE_C64},
    {"complex128", DTYPE_C128},
    {"cdouble", DTYPE_C128},
    {"float8_e4m3fn", DTYPE_F8_E4M3},
    {"float8_e5m2", DTYPE_F8_E5M2},
    {"float8_e4m3fnuz", DTYPE_F8_E4M3FNUZ},
    {"float8_e5m2fnuz", DTYPE_F8_E5M2FNUZ},
    {"float8_e8m0fnu", DTYPE_F8_E8M0},
};

static lora_code storage_dtype(const pickle_value *class, torch_storage *out, lora_error *err)
{
    static const char *const homes[] = {"torch.cuda.", "torch.storage.", "torch."};
    static const char TAIL[] = "Storage";
    const char *name = class->text;
    size_t n = class->length;
    for (size_t i = 0; i < COUNT(homes); i++) {
        size_t home = strlen(homes[i]);
        if (n > home && memcmp(name, homes[i], home) == 0) {
            name += home;
            n -= home;
            break;
        }
    }
    for (size_t i = 0; i < COUNT(storage_dtypes); i++) {
        size_t stem = strlen(storage_dtypes[i].name);
        if (n == stem + sizeof TAIL - 1 && memcmp(name, storage_dtypes[i].name, stem) == 0 &&
            memcmp(name + stem, TAIL, sizeof TAIL - 1) == 0) {
            out->dtype = storage_dtypes[i].dtype;
            out->quantised = storage_dtypes[i].quantised;
            return LORA_OK;
        }
    }
    text_quote l;
    return lora_fail_at(err, LORA_E_DTYPE, out->at, "a storage of class %s", text_quoted(&l, class->text));
}

static lora_code torch_dtype(const pickle_value *v, uint64_t at, tensor_dtype *out, lora_error *err)
{
    for (size_t i = 0; v->kind == PICKLE_GLOBAL && i < COUNT(torch_dtypes); i++) {
        if (strncmp(v->text, "torch.", 6) == 0 && strcmp(v->text + 6, torch_dtypes[i].name) == 0) {
            *out = torch_dtypes[i].dtype;
            return LORA_OK;
        }
    }
    text_quote l;
    return lora_fail_at(err, LORA_E_DTYPE, at, "a tensor of dtype %s",
                        text_quoted(&l, v->kind == PICKLE_GLOBAL ? v->text : "?"));
}

/* ---- storages ---- */

static bool count_of(const pickle_value *v, uint64_t *out)
{
    if (v->kind != PICKLE_INT || v->integer < 0)
        return false;
    *out = (uint64_t)v->integer;
    return true;
}

static bool is_text(const pickle_value *v)
{
    return (v->kind == PICKLE_STRING || v->kind == PICKLE_BYTES) && strlen(v->text) == v->length;
}

static lora_code view_of(const pickle_value *view, torch_storage *s, lora_error *err)
{
    uint64_t end;
    if (view->kind == PICKLE_NONE)
        return LORA_OK;
    if (view->kind != PICKLE_TUPLE || view->n != 3 || !count_of(view->items[1], &s->first) ||
        !count_of(view->items[2], &s->n))
        return lora_fail_at(err, LORA_E_OBJECT, s->at, "a storage's view is not (key, offset, elements)");
    if (!checked_add(s->first, s->n, &end) || end > s->numel)
        return lora_fail_at(err, LORA_E_STORAGE, s->at,
                            "a view of %" PRIu64 " elements from %" PRIu64 " on, in a storage of %" PRIu64, s->n,
                            s->first, s->numel);
    return LORA_OK;
}

lora_code torch_storage_of(const pickle_value *v, torch_storage *out, lora_error *err)
{
    const pickle_value *id = v->kind == PICKLE_PERSISTENT ? v->items[0] : v;
    torch_storage s = {.at = v->at};
    if (v->kind != PICKLE_PERSISTENT || id->kind != PICKLE_TUPLE || id->n < 5 || id->n > 6 || !is_text(id->items[0]) ||
        strcmp(id->items[0]->text, "storage") != 0 || id->items[1]->kind != PICKLE_GLOBAL || !is_text(id->items[2]) ||
        !count_of(id->items[4], &s.numel))
        return lora_fail_at(err, LORA_E_OBJECT, v->at,
                            "a persistent id is not ('storage', class, key, location, number of elements)");
    s.key = id->items[2]->text;
    s.n = s.numel;
    lora_code code = storage_dtype(id->items[1], &s, err);
    if (!code && id->n == 6)
        code = view_of(id->items[5], &s, err);
    if (code)
        return code;
    if (!checked_mul(s.numel, s.dtype == DTYPE_COUNT ? 1 : dtype_bits(s.dtype) / 8, &s.bytes))
        return lora_fail_at(err, LORA_E_STORAGE, v->at, "a storage of %" PRIu64 " elements", s.numel);
    *out = s;
    return LORA_OK;
}

/* ---- tensors ---- */

typedef struct {
    const char *name;
    uint64_t at;
    lora_error *err;
    uint64_t size[LIMIT_TENSOR_DIMS], stride[LIMIT_TENSOR_DIMS];
    unsigned n_dims;
    uint64_t entries, last; /* their number; the last one's distance from the first in the storage */
} layout;

static lora_code malformed(const layout *l, const char *what)
{
    text_quote name;
    return lora_fail_at(l->err, LORA_E_OBJECT, l->at, "tensor %s: %s", text_quoted(&name, l->name), what);
}

/* A tuple or list of counts, or torch.Size of one; *given says how many there are. */
static lora_code counts(const layout *l, const pickle_value *v, uint64_t *out, size_t *given, const char *what)
{
    if (v->kind == PICKLE_CALL && is_global(v->items[0], "torch.Size") && v->items[1]->n == 1)
        v = v->items[1]->items[0];
    if (v->kind != PICKLE_TUPLE && v->kind != PICKLE_LIST)
        return malformed(l, what);
    text_quote name;
    if (v->n > LIMIT_TENSOR_DIMS)
        return lora_fail_at(l->err, LORA_E_TOO_MANY, l->at, "tensor %s has %zu axes, the limit is %u",
                            text_quoted(&name, l->name), v->n, LIMIT_TENSOR_DIMS);
    for (size_t i = 0; i < v->n; i++)
        if (!count_of(v->items[i], &out[i]))
            return lora_fail_at(l->err, LORA_E_STORAGE, l->at, "tensor %s: axis %zu of its %s", text_quoted(&name, l->name),
                                i, what);
    *given = v->n;
    return LORA_OK;
}

static lora_code read_layout(layout *l, const pickle_value *size, const pickle_value *stride)
{
    size_t n_sizes = 0, n_strides = 0;
    lora_code code = counts(l, size, l->size, &n_sizes, "size is not a tuple of counts");
    if (!code)
        code = counts(l, stride, l->stride, &n_strides, "stride is not a tuple of counts");
    if (!code && n_sizes != n_strides)
        code = malformed(l, "as many strides as sizes are needed");
    if (code)
        return code;
    l->n_dims = (unsigned)n_sizes;
    l->entries = 1;
    bool fits = true, empty = false;
    for (unsigned i = 0; i < l->n_dims; i++)
        empty |= l->size[i] == 0;
    for (unsigned i = 0; i < l->n_dims && fits; i++) {
        uint64_t reach = 0;
        fits = empty || (checked_mul(l->entries, l->size[i], &l->entries) &&
                         checked_mul(l->size[i] - 1, l->stride[i], &reach) && checked_add(l->last, reach, &l->last));
    }
    if (empty)
        l->entries = 0;
    text_quote name;
    return fits ? LORA_OK
                : lora_fail_at(l->err, LORA_E_STORAGE, l->at,
                               "the sizes and strides of tensor %s multiply beyond 64 bits", text_quoted(&name, l->name));
}

/* C order? The stride of an axis of one entry means nothing. */
static bool is_packed(const layout *l)
{
    uint64_t expected = 1;
    for (unsigned i = l->n_dims; i-- > 0 && l->entries;) {
        if (l->size[i] != 1 && l->stride[i] != expected)
            return false;
        expected *= l->size[i];
    }
    return true;
}

static lora_code check_inside(const layout *l, uint64_t offset, uint64_t available)
{
    text_quote name;
    uint64_t end = 0;
    bool fits = checked_add(offset, l->last, &end) && (l->entries == 0 ? offset <= available : end < available);
    if (!fits)
        return lora_fail_at(l->err, LORA_E_STORAGE, l->at,
                            "tensor %s begins at entry %" PRIu64 " and reaches %" PRIu64
                            " further, its storage has %" PRIu64,
                            text_quoted(&name, l->name), offset, l->last, available);
    if (l->entries > available)
        return lora_fail_at(l->err, LORA_E_STORAGE, l->at,
                            "tensor %s expands to %" PRIu64 " entries, its storage has %" PRIu64,
                            text_quoted(&name, l->name), l->entries, available);
    return LORA_OK;
}

static const uint64_t *copy_axes(arena *mem, const uint64_t *axes, unsigned n)
{
    uint64_t *copy = arena_alloc(mem, n, sizeof *copy);
    if (copy)
        memcpy(copy, axes, n * sizeof *copy);
    return copy;
}

/* The dtype of the call where it has one, else of the storage's class. */
static lora_code dtype_of(const torch_call *call, const torch_storage *s, tensor_dtype *dtype, const layout *l)
{
    if (strcmp(call->function, "torch._utils._rebuild_tensor_v3") == 0)
        return torch_dtype(call->arguments->items[DTYPE_ARGUMENT], call->at, dtype, l->err);
    *dtype = s->dtype;
    text_quote name;
    if (s->dtype != DTYPE_COUNT && !s->quantised)
        return LORA_OK;
    return lora_fail_at(l->err, LORA_E_DTYPE, call->at, "tensor %s of a storage %s", text_quoted(&name, l->name),
                        s->quantised ? "of quantised elements" : "without a dtype");
}

lora_code torch_tensor_read(const torch_call *call, const char *name, const torch_storages *storages, arena *mem,
                            tensor *out, uint64_t *end, lora_error *err)
{
    layout l = {.name = name, .at = call->at, .err = err};
    const pickle_value *a = call->arguments;
    size_t needed = 0;
    uint64_t offset = 0;
    torch_storage s;
    for (size_t i = 0; i < COUNT(functions); i++)
        if (strcmp(call->function, functions[i].name) == 0)
            needed = functions[i].n;
    if (a->n < needed)
        return malformed(&l, "the call has too few arguments");
    tensor t = {.name = name, .entry_offset = call->at};
    lora_code code = torch_storage_of(a->items[0], &s, err);
    if (!code)
        code = dtype_of(call, &s, &t.dtype, &l);
    if (!code && !count_of(a->items[1], &offset))
        code = lora_fail_at(err, LORA_E_STORAGE, call->at, "a tensor's offset is not a count");
    if (!code)
        code = read_layout(&l, a->items[2], a->items[3]);
    if (code)
        return code;
    uint64_t width = dtype_bits(t.dtype) / 8, unit = s.dtype == DTYPE_COUNT ? 1 : dtype_bits(s.dtype) / 8;
    code = check_inside(&l, offset, s.n * unit / width);
    if (!code)
        code = storages->find(storages->ctx, s.key, s.bytes, call->at, &t.storage, err);
    if (code)
        return code;
    t.n_dims = l.n_dims;
    t.shape = copy_axes(mem, l.size, l.n_dims);
    t.strides = is_packed(&l) ? NULL : copy_axes(mem, l.stride, l.n_dims);
    if (!t.shape || (!t.strides && !is_packed(&l)))
        return lora_fail(err, LORA_E_MEMORY, "out of memory while reading the tensors of a pickle");
    t.offset = s.first * unit + offset * width;
    t.bytes = l.entries * width;
    *end = l.entries ? t.offset + (l.last + 1) * width : t.offset;
    *out = t;
    return LORA_OK;
}
