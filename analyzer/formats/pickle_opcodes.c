/* pickle_opcodes.c - where an opcode ends and what its operand is.
 *
 * Lengths are compared with the bytes that remain before anything is looked at; a line that has no newline costs a look
 * at the rest of the bytes, and ends the stream.
 * Source: CPython Lib/pickletools.py.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/base/bytes.h"
#include "analyzer/formats/pickle_internal.h"

#include <string.h>

typedef enum {
    OPERAND_UNKNOWN,
    OPERAND_NONE,
    OPERAND_1, /* fixed bytes */
    OPERAND_2,
    OPERAND_4,
    OPERAND_8,
    OPERAND_COUNT_1, /* a count of so many bytes, then the counted bytes */
    OPERAND_COUNT_4,
    OPERAND_COUNT_4_SIGNED,
    OPERAND_COUNT_8,
    OPERAND_LINE,
    OPERAND_TWO_LINES
} operand;

static const unsigned char operands[256] = {
    [OP_MARK] = OPERAND_NONE, [OP_STOP] = OPERAND_NONE, [OP_POP] = OPERAND_NONE, [OP_POP_MARK] = OPERAND_NONE,
    [OP_DUP] = OPERAND_NONE, [OP_NONE] = OPERAND_NONE, [OP_BINPERSID] = OPERAND_NONE, [OP_REDUCE] = OPERAND_NONE,
    [OP_APPEND] = OPERAND_NONE, [OP_BUILD] = OPERAND_NONE, [OP_DICT] = OPERAND_NONE, [OP_EMPTY_DICT] = OPERAND_NONE,
    [OP_APPENDS] = OPERAND_NONE, [OP_LIST] = OPERAND_NONE, [OP_EMPTY_LIST] = OPERAND_NONE, [OP_OBJ] = OPERAND_NONE,
    [OP_SETITEM] = OPERAND_NONE, [OP_TUPLE] = OPERAND_NONE, [OP_EMPTY_TUPLE] = OPERAND_NONE,
    [OP_SETITEMS] = OPERAND_NONE, [OP_NEWOBJ] = OPERAND_NONE, [OP_TUPLE1] = OPERAND_NONE, [OP_TUPLE2] = OPERAND_NONE,
    [OP_TUPLE3] = OPERAND_NONE, [OP_NEWTRUE] = OPERAND_NONE, [OP_NEWFALSE] = OPERAND_NONE,
    [OP_EMPTY_SET] = OPERAND_NONE, [OP_ADDITEMS] = OPERAND_NONE, [OP_FROZENSET] = OPERAND_NONE,
    [OP_NEWOBJ_EX] = OPERAND_NONE, [OP_STACK_GLOBAL] = OPERAND_NONE, [OP_MEMOIZE] = OPERAND_NONE,
    [OP_NEXT_BUFFER] = OPERAND_NONE, [OP_READONLY_BUFFER] = OPERAND_NONE,
    [OP_BININT1] = OPERAND_1, [OP_BINGET] = OPERAND_1, [OP_BINPUT] = OPERAND_1, [OP_PROTO] = OPERAND_1,
    [OP_EXT1] = OPERAND_1, [OP_BININT2] = OPERAND_2, [OP_EXT2] = OPERAND_2, [OP_BININT] = OPERAND_4,
    [OP_LONG_BINGET] = OPERAND_4, [OP_LONG_BINPUT] = OPERAND_4, [OP_EXT4] = OPERAND_4, [OP_BINFLOAT] = OPERAND_8,
    [OP_FRAME] = OPERAND_8,
    [OP_SHORT_BINSTRING] = OPERAND_COUNT_1, [OP_SHORT_BINBYTES] = OPERAND_COUNT_1, [OP_LONG1] = OPERAND_COUNT_1,
    [OP_SHORT_BINUNICODE] = OPERAND_COUNT_1, [OP_BINUNICODE] = OPERAND_COUNT_4, [OP_BINBYTES] = OPERAND_COUNT_4,
    [OP_BINSTRING] = OPERAND_COUNT_4_SIGNED, [OP_LONG4] = OPERAND_COUNT_4_SIGNED, [OP_BINUNICODE8] = OPERAND_COUNT_8,
    [OP_BINBYTES8] = OPERAND_COUNT_8, [OP_BYTEARRAY8] = OPERAND_COUNT_8,
    [OP_FLOAT] = OPERAND_LINE, [OP_INT] = OPERAND_LINE, [OP_LONG] = OPERAND_LINE, [OP_PERSID] = OPERAND_LINE,
    [OP_STRING] = OPERAND_LINE, [OP_UNICODE] = OPERAND_LINE, [OP_GET] = OPERAND_LINE, [OP_PUT] = OPERAND_LINE,
    [OP_GLOBAL] = OPERAND_TWO_LINES, [OP_INST] = OPERAND_TWO_LINES,
};

static decode_result take_fixed(const unsigned char *bytes, size_t n, size_t width, pickle_op *op)
{
    if (n - op->next < width)
        return DECODE_END;
    op->number = 0;
    for (size_t i = 0; i < width; i++)
        op->number |= (uint64_t)bytes[op->next + i] << 8 * i;
    op->next += width;
    return DECODE_OK;
}

static decode_result take_counted(const unsigned char *bytes, size_t n, size_t width, bool is_signed, pickle_op *op)
{
    decode_result result = take_fixed(bytes, n, width, op);
    if (result != DECODE_OK)
        return result;
    if (is_signed && op->number > INT32_MAX)
        return DECODE_NEGATIVE;
    if (op->number > n - op->next)
        return DECODE_END;
    op->text = (const char *)bytes + op->next;
    op->length = (size_t)op->number;
    op->next += op->length;
    return DECODE_OK;
}

static decode_result take_line(const unsigned char *bytes, size_t n, const char **text, size_t *length, pickle_op *op)
{
    if (op->next == n)
        return DECODE_END;
    const unsigned char *begin = bytes + op->next, *newline = memchr(begin, '\n', n - op->next);
    *text = (const char *)begin;
    *length = newline ? (size_t)(newline - begin) : n - op->next;
    op->next = newline ? op->next + *length + 1 : n;
    return newline ? DECODE_OK : DECODE_END;
}

decode_result pickle_decode(const unsigned char *bytes, size_t n, size_t at, pickle_op *op)
{
    *op = (pickle_op){.at = at, .next = at + 1};
    if (at >= n) {
        op->next = n;
        return DECODE_END;
    }
    op->code = bytes[at];
    decode_result result;
    switch ((operand)operands[op->code]) {
    case OPERAND_NONE: return DECODE_OK;
    case OPERAND_1: return take_fixed(bytes, n, 1, op);
    case OPERAND_2: return take_fixed(bytes, n, 2, op);
    case OPERAND_4: return take_fixed(bytes, n, 4, op);
    case OPERAND_8: return take_fixed(bytes, n, 8, op);
    case OPERAND_COUNT_1: return take_counted(bytes, n, 1, false, op);
    case OPERAND_COUNT_4: return take_counted(bytes, n, 4, false, op);
    case OPERAND_COUNT_4_SIGNED: return take_counted(bytes, n, 4, true, op);
    case OPERAND_COUNT_8: return take_counted(bytes, n, 8, false, op);
    case OPERAND_LINE: return take_line(bytes, n, &op->text, &op->length, op);
    case OPERAND_TWO_LINES:
        result = take_line(bytes, n, &op->text, &op->length, op);
        return result == DECODE_OK ? take_line(bytes, n, &op->second, &op->second_length, op) : result;
    case OPERAND_UNKNOWN: break;
    }
    return DECODE_UNKNOWN;
}
