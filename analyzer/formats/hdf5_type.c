/* hdf5_type.c - see hdf5_type.h. HDF5 describes a float by the place of its fields, so that any layout can be stored; the
 * ones known here are told apart by all of them.
 * SPDX-License-Identifier: Apache-2.0
 */
#include "analyzer/formats/hdf5_type.h"

static tensor_dtype integer_dtype(hid_t type)
{
    static const tensor_dtype kinds[2][4] = {{DTYPE_U8, DTYPE_U16, DTYPE_U32, DTYPE_U64},
                                             {DTYPE_I8, DTYPE_I16, DTYPE_I32, DTYPE_I64}};
    size_t bytes = H5Tget_size(type);
    H5T_sign_t sign = H5Tget_sign(type);
    if (sign != H5T_SGN_NONE && sign != H5T_SGN_2)
        return DTYPE_COUNT;
    for (unsigned i = 0; i < 4; i++)
        if (bytes == (size_t)1 << i)
            return kinds[sign == H5T_SGN_2][i];
    return DTYPE_COUNT;
}

static tensor_dtype float_dtype(hid_t type)
{
    static const struct {
        tensor_dtype dtype;
        size_t bytes, exponent_bits, fraction_bits, bias;
    } kinds[] = {{DTYPE_F16, 2, 5, 10, 15}, {DTYPE_BF16, 2, 8, 7, 127}, {DTYPE_F32, 4, 8, 23, 127}, {DTYPE_F64, 8, 11, 52, 1023}};
    size_t sign_at, exponent_at, exponent_bits, fraction_at, fraction_bits, bytes = H5Tget_size(type), bias = H5Tget_ebias(type);
    if (H5Tget_fields(type, &sign_at, &exponent_at, &exponent_bits, &fraction_at, &fraction_bits) < 0 ||
        H5Tget_norm(type) != H5T_NORM_IMPLIED || fraction_at != 0 || exponent_at != fraction_bits ||
        sign_at != exponent_at + exponent_bits)
        return DTYPE_COUNT;
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (bytes == kinds[i].bytes && exponent_bits == kinds[i].exponent_bits && fraction_bits == kinds[i].fraction_bits &&
            bias == kinds[i].bias)
            return kinds[i].dtype;
    return DTYPE_COUNT;
}

tensor_dtype hdf5_dtype(hid_t type, bool *big_endian)
{
    H5T_order_t order = H5Tget_order(type);
    if ((order != H5T_ORDER_LE && order != H5T_ORDER_BE) || H5Tget_offset(type) != 0 || H5Tget_precision(type) != 8 * H5Tget_size(type))
        return DTYPE_COUNT;
    *big_endian = order == H5T_ORDER_BE;
    return H5Tget_class(type) == H5T_FLOAT ? float_dtype(type) : integer_dtype(type);
}
