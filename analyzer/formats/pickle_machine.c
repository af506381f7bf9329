/* pickle_machine.c - the stack, and what each opcode does to it; names and calls are in pickle_calls.c. Nothing is imported,
 * called or built.
 *
 * Where CPython's two unpicklers disagree, or are lenient, the machine goes on and notes an anomaly; it stops only where
 * both of them stop, since a name behind the place must not be missed. Values below the last MARK are out of reach, as in
 * CPython.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/pickle_internal.h"

#include <string.h>

/* ---- the stack ---- */

lora_code stack_push(pickle_machine *m, pickle_value *v)
{
    return values_push(m, &m->stack, v) ? LORA_OK : machine_no_room(m);
}

lora_code stack_underflow(pickle_machine *m)
{
    return machine_fail(m, "the stack holds too few values");
}

bool stack_pop_mark(pickle_machine *m, pickle_value ***items, size_t *n)
{
    if (!m->n_marks)
        return false;
    size_t at = m->marks[--m->n_marks];
    *n = m->stack.n - at;
    *items = m->stack.n ? m->stack.list + at : NULL;
    m->stack.n = at;
    return true;
}

static lora_code mark(pickle_machine *m)
{
    void *grown = m->marks;
    if (!machine_grow(m, &grown, &m->marks_capacity, m->n_marks + 1, sizeof *m->marks))
        return machine_no_room(m);
    m->marks = grown;
    m->marks[m->n_marks++] = m->stack.n;
    return LORA_OK;
}

/* POP takes a MARK when nothing lies above it. */
static lora_code pop_one(pickle_machine *m)
{
    if (stack_height(m))
        m->stack.n--;
    else if (m->n_marks)
        m->n_marks--;
    else
        return stack_underflow(m);
    return LORA_OK;
}

/* ---- containers ---- */

/* The values since MARK as a new container. */
static lora_code collect(pickle_machine *m, pickle_kind kind)
{
    pickle_value **items;
    size_t n;
    if (!stack_pop_mark(m, &items, &n))
        return machine_fail(m, "no MARK is open");
    if (kind == PICKLE_DICT && n % 2)
        return machine_fail(m, "a dict of an odd number of values");
    if (kind == PICKLE_TUPLE && n == 0)
        return stack_push(m, m->empty_tuple);
    return stack_push(m, value_items(m, kind, items, n));
}

static lora_code small_tuple(pickle_machine *m, size_t n)
{
    if (stack_height(m) < n)
        return stack_underflow(m);
    m->stack.n -= n;
    return stack_push(m, value_items(m, PICKLE_TUPLE, m->stack.list + m->stack.n, n));
}

/* Items set on, or appended to, the value on top: `kind` is what it should be. What was called by a name that is forbidden
 * has been noted; a name itself as target would change that object for the whole process. */
static lora_code add_items(pickle_machine *m, pickle_kind kind, pickle_value *const *items, size_t n)
{
    if (!stack_height(m))
        return stack_underflow(m);
    if (kind == PICKLE_DICT && n % 2)
        return machine_fail(m, "an odd number of keys and values");
    pickle_value *target = stack_top(m);
    if (target->kind == kind)
        return value_add(m, target, items, n) ? LORA_OK : machine_no_room(m);
    if (target->kind == PICKLE_GLOBAL)
        machine_forbid(m, target->text, "sets items on");
    else
        machine_anomaly(m, "items are added to what cannot hold them");
    return LORA_OK;
}

/* APPENDS, SETITEMS, ADDITEMS */
static lora_code add_marked(pickle_machine *m, pickle_kind kind)
{
    pickle_value **items;
    size_t n;
    if (!stack_pop_mark(m, &items, &n))
        return machine_fail(m, "no MARK is open");
    return add_items(m, kind, items, n);
}

/* APPEND, SETITEM */
static lora_code add_top(pickle_machine *m, pickle_kind kind, size_t n)
{
    if (stack_height(m) < n + 1)
        return stack_underflow(m);
    m->stack.n -= n;
    return add_items(m, kind, m->stack.list + m->stack.n, n);
}

/* ---- the memo ---- */

static lora_code put(pickle_machine *m, uint64_t index)
{
    if (!stack_height(m))
        return stack_underflow(m);
    if (index > m->op.at) /* a writer that counts has made an entry with less than one for each byte */
        machine_anomaly(m, "an index of the memo that no writer has come to");
    return memo_put(m, index, stack_top(m)) ? LORA_OK : machine_no_room(m);
}

static lora_code get(pickle_machine *m, uint64_t index)
{
    pickle_value *v = memo_get(m, index);
    return v ? stack_push(m, v) : machine_fail(m, "the memo has no such entry");
}

static lora_code put_or_get_line(pickle_machine *m)
{
    uint64_t index;
    if (!text_to_u64(m->op.text, m->op.length, &index))
        return machine_fail(m, "an index of the memo that is no number");
    return m->op.code == OP_PUT ? put(m, index) : get(m, index);
}

/* ---- plain values ---- */

static lora_code push_double(pickle_machine *m, double number)
{
    pickle_value *v = value_make(m, PICKLE_FLOAT);
    if (v)
        v->number = number;
    return stack_push(m, v);
}

static lora_code binary_double(pickle_machine *m)
{
    uint64_t bits = __builtin_bswap64(m->op.number); /* big-endian in the pickle */
    double number;
    memcpy(&number, &bits, sizeof number);
    return push_double(m, number);
}

static lora_code text_double_line(pickle_machine *m)
{
    double number;
    return text_to_double(m->op.text, m->op.length, &number) ? push_double(m, number) : machine_fail(m, "not a number");
}

static lora_code number_line(pickle_machine *m)
{
    bool valid;
    pickle_value *v = value_of_int_line(m, m->op.text, m->op.length, &valid);
    return valid ? stack_push(m, v) : machine_fail(m, "not a number");
}

static lora_code string_line(pickle_machine *m)
{
    bool valid;
    pickle_value *v = value_of_string_line(m, m->op.text, m->op.length, &valid);
    return valid ? stack_push(m, v) : machine_fail(m, "a string without its quotes");
}

static lora_code text(pickle_machine *m, pickle_kind kind)
{
    return stack_push(m, value_text(m, kind, m->op.text, m->op.length));
}

static lora_code buffer(pickle_machine *m)
{
    machine_anomaly(m, "bytes that are not in the file (an out-of-band buffer)");
    if (m->op.code == OP_NEXT_BUFFER)
        return stack_push(m, value_text(m, PICKLE_BYTES, "", 0));
    return stack_height(m) ? LORA_OK : stack_underflow(m);
}

static lora_code protocol(pickle_machine *m)
{
    if (m->began)
        machine_anomaly(m, "a PROTO opcode that is not the first");
    if (m->op.number > 5)
        machine_anomaly(m, "a protocol number that no Python knows");
    else if (m->op.number < 2)
        machine_anomaly(m, "a PROTO opcode with a protocol older than it");
    return LORA_OK;
}

/* The C unpickler takes a frame for advice; the other one stops when an opcode reaches over its end. */
static lora_code frame(pickle_machine *m)
{
    if (m->op.next < m->frame_end)
        machine_anomaly(m, "a frame inside a frame");
    if (m->op.number > m->source->length - m->op.next)
        machine_anomaly(m, "a frame that is longer than the pickle");
    else
        m->frame_end = m->op.next + (size_t)m->op.number;
    return LORA_OK;
}

static lora_code stop(pickle_machine *m)
{
    if (!stack_height(m))
        return stack_underflow(m);
    m->root = stack_pop(m);
    if (m->stack.n || m->n_marks)
        machine_anomaly(m, "values are left on the stack");
    return LORA_OK;
}

static lora_code rarely_written(pickle_machine *m)
{
    pickle_value **items;
    size_t n;
    switch (m->op.code) {
    case OP_DUP:
        machine_anomaly(m, "an opcode that torch never writes: DUP");
        return stack_height(m) ? stack_push(m, stack_top(m)) : stack_underflow(m);
    case OP_POP_MARK: return stack_pop_mark(m, &items, &n) ? LORA_OK : machine_fail(m, "no MARK is open");
    case OP_PERSID:
        machine_anomaly(m, "an opcode that torch never writes: PERSID");
        return machine_persistent(m, value_text(m, PICKLE_STRING, m->op.text, m->op.length));
    default: machine_anomaly(m, "an opcode that torch never writes: EXT"); return machine_extension(m);
    }
}

/* ---- one opcode ---- */

static lora_code execute(pickle_machine *m)
{
    switch (m->op.code) {
    case OP_PROTO: return protocol(m);
    case OP_FRAME: return frame(m);
    case OP_STOP: return stop(m);
    case OP_MARK: return mark(m);
    case OP_POP: return pop_one(m);
    case OP_NONE: return stack_push(m, m->none);
    case OP_NEWTRUE: return stack_push(m, m->yes);
    case OP_NEWFALSE: return stack_push(m, m->no);
    case OP_BININT: return stack_push(m, value_integer(m, (int32_t)(uint32_t)m->op.number));
    case OP_BININT1:
    case OP_BININT2: return stack_push(m, value_integer(m, (int64_t)m->op.number));
    case OP_LONG1:
    case OP_LONG4: return stack_push(m, value_of_long(m, m->op.text, m->op.length));
    case OP_INT:
    case OP_LONG: return number_line(m);
    case OP_FLOAT: return text_double_line(m);
    case OP_BINFLOAT: return binary_double(m);
    case OP_STRING: return string_line(m);
    case OP_UNICODE: return stack_push(m, value_of_unicode_line(m, m->op.text, m->op.length));
    case OP_BINSTRING:
    case OP_SHORT_BINSTRING:
    case OP_SHORT_BINUNICODE:
    case OP_BINUNICODE:
    case OP_BINUNICODE8: return text(m, PICKLE_STRING);
    case OP_SHORT_BINBYTES:
    case OP_BINBYTES:
    case OP_BINBYTES8:
    case OP_BYTEARRAY8: return text(m, PICKLE_BYTES);
    case OP_NEXT_BUFFER:
    case OP_READONLY_BUFFER: return buffer(m);
    case OP_EMPTY_TUPLE: return stack_push(m, m->empty_tuple);
    case OP_EMPTY_LIST: return stack_push(m, value_items(m, PICKLE_LIST, NULL, 0));
    case OP_EMPTY_DICT: return stack_push(m, value_items(m, PICKLE_DICT, NULL, 0));
    case OP_EMPTY_SET: return stack_push(m, value_items(m, PICKLE_SET, NULL, 0));
    case OP_TUPLE1: return small_tuple(m, 1);
    case OP_TUPLE2: return small_tuple(m, 2);
    case OP_TUPLE3: return small_tuple(m, 3);
    case OP_TUPLE: return collect(m, PICKLE_TUPLE);
    case OP_LIST: return collect(m, PICKLE_LIST);
    case OP_DICT: return collect(m, PICKLE_DICT);
    case OP_FROZENSET: return collect(m, PICKLE_SET);
    case OP_APPEND: return add_top(m, PICKLE_LIST, 1);
    case OP_SETITEM: return add_top(m, PICKLE_DICT, 2);
    case OP_APPENDS: return add_marked(m, PICKLE_LIST);
    case OP_SETITEMS: return add_marked(m, PICKLE_DICT);
    case OP_ADDITEMS: return add_marked(m, PICKLE_SET);
    case OP_GLOBAL: return machine_push_global(m, m->op.text, m->op.length, m->op.second, m->op.second_length);
    case OP_STACK_GLOBAL: return machine_stack_global(m);
    case OP_REDUCE:
    case OP_NEWOBJ: return machine_call_top(m);
    case OP_NEWOBJ_EX: return machine_newobj_ex(m);
    case OP_INST:
    case OP_OBJ: return machine_call_marked(m);
    case OP_BUILD: return machine_build(m);
    case OP_BINPERSID: return stack_height(m) ? machine_persistent(m, stack_pop(m)) : stack_underflow(m);
    case OP_PUT:
    case OP_GET: return put_or_get_line(m);
    case OP_BINPUT:
    case OP_LONG_BINPUT: return put(m, m->op.number);
    case OP_MEMOIZE: return put(m, m->memo.n + m->n_far);
    case OP_BINGET:
    case OP_LONG_BINGET: return get(m, m->op.number);
    default: return rarely_written(m);
    }
}

lora_code machine_step(pickle_machine *m, bool *stopped)
{
    lora_code code = execute(m);
    *stopped = m->op.code == OP_STOP;
    m->began |= m->op.code != OP_PROTO;
    return code;
}
