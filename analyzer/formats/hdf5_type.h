/* hdf5_type.h - number types of HDF5 as dtypes. Internal to hdf5.c, which alone includes it.
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LORAUDIT_HDF5_TYPE_H
#define LORAUDIT_HDF5_TYPE_H

#include "analyzer/formats/catalog.h"

#include <hdf5.h>

/* hdf5_dtype - the dtype of an integer or float type whose bits lie as in C or IEEE 754 (bfloat16 besides), in either
 * byte order; DTYPE_COUNT for any other. */
tensor_dtype hdf5_dtype(hid_t type, bool *big_endian);

#endif
