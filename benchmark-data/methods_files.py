# SPDX-License-Identifier: Apache-2.0
"""Byte-stable files of every container, for the adapters of methods/ and containers/."""
import json
import pickle
import struct
import sys

import h5py
import numpy as np
import torch

from samples_lora import save_tensors

GGUF_ALIGNMENT = 32
GGUF_U32, GGUF_F32, GGUF_STRING = 4, 6, 8          # value types
GGML_F32 = 0                                       # tensor type


def write_config(folder, fields):
    """adapter_config.json with its lists sorted: peft makes them from sets."""
    folder.mkdir(parents=True, exist_ok=True)
    for key in ("target_modules", "feedforward_modules", "modules_to_save"):
        if isinstance(fields.get(key), list):
            fields[key] = sorted(fields[key])
    (folder / "adapter_config.json").write_text(json.dumps(fields, indent=2, sort_keys=True) + "\n")


def save_peft(model, folder, safe=True):
    """peft's save_pretrained, less the model card; adapter_model.safetensors, or adapter_model.bin if not `safe`."""
    options = {} if model.peft_config["default"].is_prompt_learning else {"save_embedding_layers": False}
    model.save_pretrained(folder, safe_serialization=safe, **options)
    (folder / "README.md").unlink(missing_ok=True)
    write_config(folder, json.loads((folder / "adapter_config.json").read_text()))


def numpy_of(tensors):
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def save_safetensors(path, tensors, metadata=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, {name: tensor.detach().clone() for name, tensor in tensors.items()}, metadata or {"format": "pt"})


def save_torch(path, value):
    """torch.save: a zip whose records are numbered, so the bytes repeat."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(value, path)


def save_torch_legacy(path, value):
    """The format of torch before 1.6, as torch.serialization._legacy_save writes it, but with storages numbered in the
    order they are met: torch names them by their address in memory, which changes from run to run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    storages = {}

    def persistent_id(item):
        if not isinstance(item, torch.storage.TypedStorage):
            return None
        _, _, storage = storages.setdefault(item.data_ptr(), (len(storages), item.pickle_storage_type(), item))
        key = f"{storages[item.data_ptr()][0]:04d}"
        return ("storage", getattr(torch, item.pickle_storage_type()), key, "cpu", storage.size(), None)

    with path.open("wb") as file:
        sizes = {"short": 2, "int": 4, "long": 4}
        for head in (0x1950A86A20F9469CFC6C, 1001,
                     {"protocol_version": 1001, "little_endian": sys.byteorder == "little", "type_sizes": sizes}):
            pickle.dump(head, file, protocol=2)
        pickler = pickle.Pickler(file, protocol=2)
        pickler.persistent_id = persistent_id
        pickler.dump(value)
        pickle.dump([f"{i:04d}" for i in range(len(storages))], file, protocol=2)
        file.flush()
        for _, _, storage in storages.values():                             # in the order of their keys
            data = np.array(storage.tolist(), dtype=np.float32)
            file.write(struct.pack("<q", len(data)) + data.tobytes())
    assert torch.load(path).keys() == value.keys()


def save_npz(path, tensors, compressed=False):
    """numpy dates the members of its zip 1980."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (np.savez_compressed if compressed else np.savez)(path, **numpy_of(tensors))


def save_hdf5(path, tensors, filtered=False):
    """One dataset a tensor in the root, dots and all; contiguous, or chunked with shuffle and gzip."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, data in numpy_of(tensors).items():
            options = {"chunks": tuple(max(1, n // 2) for n in data.shape), "shuffle": True, "compression": "gzip"}
            file.create_dataset(name, data=data, track_times=False, **(options if filtered else {}))


def gguf_string(text):
    return struct.pack("<Q", len(text.encode())) + text.encode()


def save_gguf(path, tensors, alpha):
    """GGUF version 3 as llama.cpp's convert_lora_to_gguf.py writes an adapter of the llama architecture, float32.

    `tensors` have their rows slowest: lora_a (r, in), lora_b (out, r); the file lists the fastest dimension first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [("general.architecture", GGUF_STRING, gguf_string("llama")),
              ("general.type", GGUF_STRING, gguf_string("adapter")),
              ("adapter.type", GGUF_STRING, gguf_string("lora")),
              ("adapter.lora.alpha", GGUF_F32, struct.pack("<f", alpha)),
              ("general.file_type", GGUF_U32, struct.pack("<I", 0))]
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(values))
    head += b"".join(gguf_string(key) + struct.pack("<I", kind) + value for key, kind, value in values)
    data = b""
    for name, array in numpy_of(tensors).items():
        head += gguf_string(name) + struct.pack("<I", array.ndim) + struct.pack(f"<{array.ndim}Q", *array.shape[::-1])
        head += struct.pack("<IQ", GGML_F32, len(data))
        data += array.astype("<f4").tobytes()
        data += b"\0" * (-len(data) % GGUF_ALIGNMENT)
    path.write_bytes(head + b"\0" * (-len(head) % GGUF_ALIGNMENT) + data)
