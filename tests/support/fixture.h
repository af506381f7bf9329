/* fixture.h - a folder of files made for one test, and safetensors files to put there.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef TEST_FIXTURE_H
#define TEST_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    char folder[64];
} fixture;

void fixture_open(fixture *fx);  /* a new empty folder */
void fixture_close(fixture *fx); /* removed with all that is in it */

/* fixture_path - FOLDER/name, in one of eight static buffers. */
const char *fixture_path(const fixture *fx, const char *name);

/* Folders in name are made. */
void fixture_write(const fixture *fx, const char *name, const void *bytes, size_t n);
void fixture_text(const fixture *fx, const char *name, const char *text);

/* A safetensors file under construction. */
typedef struct {
    char *header, *data;
    size_t header_length, data_length;
} tensor_file;

void tensors_begin(tensor_file *t);
void tensors_metadata(tensor_file *t, const char *json_object); /* as the first entry, or not at all */

void tensors_add(tensor_file *t, const char *name, const char *dtype, unsigned n_dims, const uint64_t *shape,
                 const void *data, size_t bytes);
void tensors_add_f32(tensor_file *t, const char *name, uint64_t rows, uint64_t cols, const float *data);
void tensors_save(tensor_file *t, const fixture *fx, const char *name); /* and free */

/* A factor pair of random numbers in [-1, 1)·size under PEFT's names; B all zero when size_b is 0. */
void tensors_add_pair(tensor_file *t, const char *module, uint64_t m, uint64_t n, uint64_t r, double size_a,
                      double size_b, uint64_t *seed);

double random_unit(uint64_t *seed); /* uniform in [-1, 1), splitmix64 */

#endif
