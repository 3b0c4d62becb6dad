"""Rows of tensors in safetensors files, compared with the library's own reader."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from graphcl_hard.io._tensor_rows import DTYPES, TensorRows

TENSORS = {
    "bytes": torch.arange(7, dtype=torch.uint8),
    "short": torch.arange(12, dtype=torch.int16).reshape(6, 2) - 5,
    "int": torch.arange(5, dtype=torch.int32) * 10**8,
    "long": torch.arange(4).reshape(2, 2, 1) * -(10**12),
    "float": torch.linspace(0, 1, 9).reshape(3, 3),
    "double": torch.linspace(0, 1, 4, dtype=torch.float64),
    "none": torch.zeros(0, 4),
}


def test_any_rows_are_the_librarys(tmp_path):
    path = tmp_path / "file.safetensors"
    save_file(TENSORS, path, {"some": "text"})
    rows, right = TensorRows(path), load_file(path)
    assert len({tensor.dtype for tensor in right.values()}) == len(DTYPES)
    for name, tensor in right.items():
        for low in range(len(tensor) + 1):
            for high in range(low, len(tensor) + 1):
                found = rows.read({name: (low, high)})[name]
                assert found.dtype == tensor.dtype
                assert torch.equal(found, tensor[low:high])
    found = rows.read(dict.fromkeys(TENSORS))
    assert found.keys() == right.keys()
    assert all(torch.equal(found[name], right[name]) for name in right)
    found["bytes"][0] = 9  # its own memory, and not the file's
    assert torch.equal(load_file(path)["bytes"], TENSORS["bytes"])


@pytest.mark.parametrize("bounds", [(-1, 2), (2, 1), (0, 8)])
def test_rows_that_are_not_there(tmp_path, bounds):
    save_file(TENSORS, tmp_path / "file.safetensors")
    with pytest.raises(ValueError, match="has no rows"):
        TensorRows(tmp_path / "file.safetensors").read({"bytes": bounds})
    with pytest.raises(LookupError):
        TensorRows(tmp_path / "file.safetensors").read({"other": None})


def test_a_file_that_is_cut_short_or_none(tmp_path):
    path = tmp_path / "file.safetensors"
    save_file(TENSORS, path)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    with pytest.raises(ValueError, match="cannot reshape array"):
        TensorRows(path).read(dict.fromkeys(TENSORS))
    other_type, longer = content.replace(b'"U8"', b'"X8"'), content.replace(b"[7]", b"[9]")
    for damaged in (b"", content[:20], b"\xff" * 40, other_type, longer):
        path.write_bytes(damaged)
        with pytest.raises(
            ValueError,
            match=r"header|Expecting value|does not match its shape|Unterminated|delimiter",
        ):
            TensorRows(path)
