"""Files of molecules: lists of SMILES and SDF; `tests/test_convert.py` has the tables."""

import gzip

import pytest
import torch

from graphcl_hard import InputError, molecule_graphs
from graphcl_hard.data.molecules.tables import molecule_chunks

Chem = pytest.importorskip("rdkit.Chem", reason="RDKit is not installed (the extra [molecules])")

LINES = "CCO ethanol\nC1CC\tbroken\n\n  c1ccccc1   benzene, a ring \nCN methylamine\n"


def read(path, **options):
    chunks = list(molecule_chunks(path, **options))
    return chunks[0] if len(chunks) == 1 else chunks


@pytest.mark.parametrize("header", ["", "smiles name\n", "SMILES\n"])
@pytest.mark.parametrize("suffix", [".smi", ".smi.gz"])
def test_a_list_of_smiles_with_names(tmp_path, suffix, header):
    path = tmp_path / f"list{suffix}"
    opened = gzip.open if suffix.endswith(".gz") else open
    with opened(path, "wt") as file:
        file.write(header + LINES)
    left_out = []
    found = read(path, on_invalid=left_out.append, id_column="name")
    assert found.ids.tolist() == ["ethanol", "benzene, a ring", "methylamine"]
    assert found.node_ptr.diff().tolist() == [3, 6, 2]
    assert [(one.row, one.id, one.smiles) for one in left_out] == [(1, "broken", "C1CC")]
    assert read(path, on_invalid=left_out.append).ids.tolist() == [0, 2, 3]
    with pytest.raises(InputError, match=r"Row 1 of .* holds 'C1CC', but RDKit cannot read"):
        read(path)
    with pytest.raises(InputError, match="no column 'id', it has smiles, name"):
        read(path, id_column="id")


def test_a_list_of_smiles_without_all_names_has_no_ids_by_name(tmp_path):
    (tmp_path / "list.smi").write_text("CCO ethanol\nCN\n")
    assert read(tmp_path / "list.smi").ids.tolist() == [0, 1]
    with pytest.raises(InputError, match="has no id in row 1"):
        read(tmp_path / "list.smi", id_column="name")


@pytest.fixture(params=[".sdf", ".sdf.gz"])
def sdf(tmp_path, request):
    path = tmp_path / f"library{request.param}"
    blocks = []
    for name, smiles, code, activity in (
        ("ethanol", "CCO", "0012", "1"),
        ("benzene", "c1ccccc1", "0013", ""),
        ("alanine", "C[C@H](N)C(=O)O", "0014", "0"),
    ):
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        molecule.SetProp("_Name", name)
        properties = {"code": code, **({"active": activity} if activity else {})}
        block = Chem.MolToMolBlock(molecule)
        block += "".join(f">  <{key}>\n{value}\n\n" for key, value in properties.items())
        blocks.append(block + "$$$$\n")
    blocks.insert(1, "broken\n\n\nno counts\nM  END\n>  <code>\n0009\n\n$$$$\n")
    opened = gzip.open if request.param.endswith(".gz") else open
    with opened(path, "wt") as file:
        file.write("".join(blocks))
    return path


def test_an_sdf_file_with_properties(sdf):
    left_out = []
    found = read(sdf, on_invalid=left_out.append, labels=["active"])
    assert found.ids.tolist() == [0, 2, 3]
    assert found.node_ptr.diff().tolist() == [3, 6, 6]  # hydrogens are no nodes
    assert found.classes == (0, 1)
    assert found.y.tolist() == [1, -1, 0]
    assert found.node_label[10, 1] in (1, 2)  # the stereocentre of alanine
    assert [(one.row, one.smiles, one.reason) for one in left_out] == [
        (1, "", "RDKit cannot read the record")
    ]
    with pytest.raises(InputError, match=r"Row 1 .* \(from 0\).* RDKit cannot read the record"):
        read(sdf)
    with pytest.raises(InputError, match="no column 'pIC50', it has active, code, name"):
        read(sdf, labels=["pIC50"])


def test_ids_of_rows_that_are_left_out_may_be_missing(tmp_path, sdf):
    left_out = []
    found = read(sdf, on_invalid=left_out.append, id_column="code")
    assert found.ids.tolist() == ["0012", "0013", "0014"]
    assert left_out[0].id == "0009"
    (tmp_path / "list.smi").write_text("CCO a\nC(\nCN b\n")
    found = read(tmp_path / "list.smi", on_invalid=left_out.append, id_column="name")
    assert found.ids.tolist() == ["a", "b"]
    assert left_out[1][:3] == (1, 1, "C(")


def test_titles_and_a_property_of_their_name_are_not_mixed(tmp_path):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    (tmp_path / "two.sdf").write_text(f"{block}>  <name>\nethanol\n\n$$$$\n")
    assert read(tmp_path / "two.sdf").num_graphs == 1
    with pytest.raises(InputError, match="has a title and a property 'name'"):
        read(tmp_path / "two.sdf", id_column="name")


def test_a_blank_line_at_the_end_is_no_record_and_a_cut_is_refused(tmp_path):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    whole = "".join(f"{block}>  <y>\n{y}\n\n$$$$\n" for y in ("1.5", "6.25"))
    path = tmp_path / "set.sdf"
    for text in (whole, f"{whole}\n", f"{whole}\n \n", whole.replace("\n", "\r\n")):
        path.write_bytes(text.encode())
        assert read(path, labels=["y"]).y.tolist() == [1.5, 6.25]
    for end in (whole.rindex("5"), whole.rindex(">"), whole.rindex("$$$$")):
        path.write_text(whole[:end])
        with pytest.raises(InputError, match=r"ends within row 1 .* must end with \$\$\$\$"):
            read(path, labels=["y"])
    with gzip.open(tmp_path / "set.sdf.gz", "wt") as file:
        file.write(whole * 200)
    content = (tmp_path / "set.sdf.gz").read_bytes()
    (tmp_path / "set.sdf.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cannot be read: .*; give a file of molecules"):
        read(tmp_path / "set.sdf.gz")


def test_records_are_read_as_rdkit_reads_them(sdf):
    opened = gzip.open if sdf.suffix == ".gz" else open
    with opened(sdf, "rb") as file:
        expected = [one for one in Chem.ForwardSDMolSupplier(file) if one is not None]
    found = read(sdf, on_invalid=lambda _: None)
    again = molecule_graphs(expected)
    assert torch.equal(found.node_label, again.node_label)
    assert torch.equal(found.edge_label, again.edge_label)


def test_lines_of_smi_files_as_programs_write_them(tmp_path):
    path = tmp_path / "list.smi"
    path.write_text("canonical_smiles id\r\nCCO |$R;;$| nm\r\n\tNCC\r\nCN a b\r\n")
    left_out = []
    found = read(path, on_invalid=left_out.append, id_column="name")
    assert found.ids.tolist() == ["nm", "a b"]
    assert left_out == [(1, "NCC", "", "it is empty")]


def test_a_truncated_file_is_refused(tmp_path):
    with gzip.open(tmp_path / "list.smi.gz", "wt") as file:
        file.write("CCO\n" * 1000)
    content = (tmp_path / "list.smi.gz").read_bytes()
    (tmp_path / "list.smi.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cannot be read: .*; give a file of molecules"):
        read(tmp_path / "list.smi.gz")
    (tmp_path / "bytes.smi").write_bytes(b"CCO\n\xff\xfe\n")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path / "bytes.smi")
