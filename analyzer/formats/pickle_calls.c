/* pickle_calls.c - names, and what is done with them: calls, states, persistent ids. All of it stays data.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/pickle_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- names ---- */

lora_code machine_push_global(pickle_machine *m, const char *module, size_t module_length, const char *name,
                             size_t name_length)
{
    pickle_name found;
    machine_note_global(m, module, module_length, name, name_length, m->op.at, &found);
    return stack_push(m, value_text(m, PICKLE_GLOBAL, found.text, found.length));
}

lora_code machine_stack_global(pickle_machine *m)
{
    if (stack_height(m) < 2)
        return stack_underflow(m);
    const pickle_value *name = stack_pop(m), *module = stack_pop(m);
    if (name->kind == PICKLE_STRING && module->kind == PICKLE_STRING)
        return machine_push_global(m, module->text, module->length, name->text, name->length);
    static const char UNKNOWN[] = "<not a string>";
    machine_forbid(m, UNKNOWN, "takes a name from");
    return stack_push(m, value_text(m, PICKLE_GLOBAL, UNKNOWN, sizeof UNKNOWN - 1));
}

lora_code machine_extension(pickle_machine *m)
{
    char name[32];
    int n = snprintf(name, sizeof name, "extension.%lu", (unsigned long)m->op.number);
    return machine_push_global(m, "copyreg", 7, name, (size_t)n);
}

/* ---- calls ---- */

static bool is_global(const pickle_value *v, const char *name)
{
    return v->kind == PICKLE_GLOBAL && strcmp(v->text, name) == 0;
}

/* OrderedDict and Counter, empty or made of what is known, are dicts; items may then be set on them. */
static pickle_value *dict_of_call(pickle_machine *m, const pickle_value *arguments)
{
    if (arguments->n == 0)
        return value_items(m, PICKLE_DICT, NULL, 0);
    const pickle_value *from = arguments->items[0];
    if (from->kind == PICKLE_DICT)
        return value_items(m, PICKLE_DICT, from->items, from->n);
    pickle_value *made = value_items(m, PICKLE_DICT, NULL, 0);
    for (size_t i = 0; made && i < from->n; i++)
        if (!value_add(m, made, from->items[i]->items, 2))
            return NULL;
    return made;
}

static bool is_sequence(const pickle_value *v)
{
    return v->kind == PICKLE_LIST || v->kind == PICKLE_TUPLE;
}

static bool is_pairs(const pickle_value *v)
{
    if (!is_sequence(v))
        return false;
    for (size_t i = 0; i < v->n; i++)
        if (!is_sequence(v->items[i]) || v->items[i]->n != 2)
            return false;
    return true;
}

static lora_code call(pickle_machine *m, pickle_value *function, pickle_value *arguments)
{
    if (function->kind != PICKLE_GLOBAL)
        machine_forbid(m, "<not a name>", "calls");
    if (arguments->kind != PICKLE_TUPLE) {
        machine_anomaly(m, "a call whose arguments are no tuple");
        arguments = m->empty_tuple;
    }
    bool is_dict = is_global(function, "collections.OrderedDict") || is_global(function, "collections.Counter");
    if (is_dict && (arguments->n == 0 ||
                    (arguments->n == 1 && (arguments->items[0]->kind == PICKLE_DICT || is_pairs(arguments->items[0])))))
        return stack_push(m, dict_of_call(m, arguments));
    pickle_value *items[3] = {function, arguments, NULL}, *made = value_items(m, PICKLE_CALL, items, 3);
    if (made)
        made->n = 2; /* room for a state */
    return stack_push(m, made);
}

/* REDUCE, NEWOBJ */
lora_code machine_call_top(pickle_machine *m)
{
    if (stack_height(m) < 2)
        return stack_underflow(m);
    pickle_value *arguments = stack_pop(m), *function = stack_pop(m);
    return call(m, function, arguments);
}

lora_code machine_newobj_ex(pickle_machine *m)
{
    if (stack_height(m) < 3)
        return stack_underflow(m);
    machine_anomaly(m, "an opcode that torch never writes: NEWOBJ_EX");
    stack_pop(m);
    return machine_call_top(m);
}

/* MARK class argument … OBJ; and MARK argument … INST, whose class is its operand. */
lora_code machine_call_marked(pickle_machine *m)
{
    bool is_inst = m->op.code == OP_INST;
    pickle_value **items, *function = NULL;
    size_t n;
    machine_anomaly(m, is_inst ? "an opcode that torch never writes: INST" : "an opcode that torch never writes: OBJ");
    if (is_inst) { /* first of all, so that its name is noted whatever the stack is like */
        lora_code code = machine_push_global(m, m->op.text, m->op.length, m->op.second, m->op.second_length);
        if (code)
            return code;
        function = stack_pop(m);
    }
    if (!stack_pop_mark(m, &items, &n))
        return machine_fail(m, "no MARK is open");
    if (!is_inst) {
        if (n == 0)
            return stack_underflow(m);
        function = items[0];
        items++;
        n--;
    }
    pickle_value *arguments = n ? value_items(m, PICKLE_TUPLE, items, n) : m->empty_tuple;
    return arguments ? call(m, function, arguments) : machine_no_room(m);
}

lora_code machine_build(pickle_machine *m)
{
    if (stack_height(m) < 2)
        return stack_underflow(m);
    pickle_value *state = stack_pop(m), *target = stack_top(m);
    if (target->kind == PICKLE_CALL) {
        target->items[2] = state;
        target->n = 3;
    } else if (target->kind == PICKLE_GLOBAL) {
        machine_forbid(m, target->text, "sets attributes of");
    } else if (target->kind != PICKLE_DICT) {
        machine_anomaly(m, "a state is set on what has none");
    }
    return LORA_OK;
}

lora_code machine_persistent(pickle_machine *m, pickle_value *id)
{
    pickle_value *v = id ? value_items(m, PICKLE_PERSISTENT, &id, 1) : NULL;
    return v && values_push(m, &m->persistent, v) ? stack_push(m, v) : machine_no_room(m);
}
