# SPDX-License-Identifier: Apache-2.0
"""What the factors of each method mean, as plain float64 matrices: the second opinion beside the libraries' own code.

Every function takes arrays as the file has them and returns ΔW without its scale, as (out, in) or (out, in * kh * kw).
"""
import numpy as np


def matrix(array):
    """A kernel (r, n, kh, kw) is the matrix (r, n * kh * kw)."""
    array = np.asarray(array, dtype=np.float64)
    return array.reshape(array.shape[0], -1)


def product(b, a):
    return matrix(b) @ matrix(a)


def grouped(b, a):
    """MergedLinear: group i of B's rows meets the i-th r of A's rows."""
    b, a = matrix(b), matrix(a)
    groups = len(a) // b.shape[1]
    return np.vstack([rows @ columns for rows, columns in zip(np.split(b, groups), np.split(a, groups))])


def tucker(core, a, b):
    """Σ_ij core[i, j, k, l] * a[i, out] * b[j, in], as a matrix; a (r, out), b (r, in)."""
    core, a, b = (np.asarray(x, dtype=np.float64) for x in (core, a, b))
    return matrix(np.einsum("ijkl,ip,jq->pqkl", core, a, b))


def hadamard(parts):
    """LoHa, with hada_t1 and hada_t2 or without."""
    if "hada_t1" in parts:
        return (tucker(parts["hada_t1"], parts["hada_w1_a"], parts["hada_w1_b"])
                * tucker(parts["hada_t2"], parts["hada_w2_a"], parts["hada_w2_b"]))
    return product(parts["hada_w1_a"], parts["hada_w1_b"]) * product(parts["hada_w2_a"], parts["hada_w2_b"])


def kronecker(parts):
    """LoKr: w1 or w1_a, w1_b; w2, or w2_a, w2_b, or these with t2."""
    outer = matrix(parts["lokr_w1"]) if "lokr_w1" in parts else product(parts["lokr_w1_a"], parts["lokr_w1_b"])
    if "lokr_w2" in parts:
        inner = matrix(parts["lokr_w2"])
    elif "lokr_t2" in parts:
        inner = tucker(parts["lokr_t2"], parts["lokr_w2_a"], parts["lokr_w2_b"])
    else:
        inner = product(parts["lokr_w2_a"], parts["lokr_w2_b"])
    return np.kron(outer, inner)


def update(parts):
    """ΔW without scale of one module, by the names of its parts."""
    if "hada_w1_a" in parts:
        return hadamard(parts)
    if "lokr_w1" in parts or "lokr_w1_a" in parts:
        return kronecker(parts)
    if "lora_E" in parts:
        return product(parts["lora_B"], np.asarray(parts["lora_A"], dtype=np.float64) * parts["lora_E"])
    if "lora_embedding_A" in parts:
        return product(parts["lora_embedding_B"], parts["lora_embedding_A"])
    if "lora_latent_mapping" in parts:
        return matrix(parts["lora_B"]) @ matrix(parts["lora_latent_mapping"]) @ matrix(parts["lora_A"])
    return product(parts["lora_B"], parts["lora_A"])


def describe(name, delta, scale):
    """One module's record for samples_expected.write_expected. sigma ends where rounding begins: at 1e-13 of the first."""
    delta = np.asarray(delta, dtype=np.float64)
    sigma = np.linalg.svd(delta, compute_uv=False)
    frobenius = float(np.sqrt(np.sum(delta * delta)))
    assert frobenius > 0 and abs(frobenius - np.sqrt(np.sum(sigma * sigma))) <= 1e-12 * frobenius, name
    kept = [float(s) for s in sigma if s > 1e-13 * sigma[0]]
    assert kept[-1] > 1e-9 * kept[0], f"{name}: rank is not clear"
    return {"name": name, "out": delta.shape[0], "in": delta.shape[1], "scale": float(scale), "finite": True,
            "frobenius": frobenius, "spectral": kept[0], "sigma": kept}


def assert_same(one, other, name):
    """Two ways to the same matrix, to rounding."""
    one, other = np.asarray(one, dtype=np.float64), np.asarray(other, dtype=np.float64)
    assert one.shape == other.shape, (name, one.shape, other.shape)
    assert np.abs(one - other).max() <= 1e-12 * np.abs(one).max(), name
