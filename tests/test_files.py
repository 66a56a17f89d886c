"""Files that are whole or absent, and checkpoints that are right or none."""

import pytest
import torch

from ditune.store.files import load_checkpoint, replacing, save_checkpoint, write


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "a.txt"
    write(path, "old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]


def test_a_checkpoint_holds_state_and_tensors_to_the_bit(tmp_path):
    path, tensors = tmp_path / "c.safetensors", {"x": torch.randn(3, 2).T, "step": torch.tensor(3.0), "none": torch.empty(0)}
    assert load_checkpoint(path) is None
    save_checkpoint(path, {"losses": [0.1, 2.0]}, tensors)
    state, found = load_checkpoint(path)
    assert state == {"losses": [0.1, 2.0]} and all(torch.equal(found[name], value) for name, value in tensors.items())
    save_checkpoint(path, {"a": 1})
    assert load_checkpoint(path) == ({"a": 1}, {})


@pytest.mark.filterwarnings("ignore:deleted the damaged checkpoint")
@pytest.mark.parametrize("damage", ["cut", "zeros", "other", "empty", "folder"])
def test_a_damaged_checkpoint_is_none_and_deleted(tmp_path, damage):
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, {"step": 5}, {"x": torch.ones(100)})
    whole = path.read_bytes()
    changed = {"cut": whole[:-9], "zeros": whole[:-9] + bytes(9), "empty": b"", "other": whole.replace(b'5}', b'6}')}
    if damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(changed[damage])
    assert load_checkpoint(path) is None and not path.exists()
