"""Any bytes in any file that the package reads: what was written, or a refusal of one sentence."""

import contextlib
import io
import json
import shutil
import stat
import zipfile

import networkx as nx
import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from helpers.fuzz import CASES, CHANCE, campaign, damaged, outcome
from hypothesis import strategies as st

from graphcl_hard import GINEncoder, HardInfoGraph, load_encoder
from graphcl_hard.config import Config
from graphcl_hard.data.graph_data import Names
from graphcl_hard.data.tu.archive import extract
from graphcl_hard.io.checksum import read_checksummed, with_checksum, write_checksummed
from graphcl_hard.io.file_names import CHECKPOINTS
from graphcl_hard.io.vector_writer import write_vectors
from graphcl_hard.io.vectors import read_vectors
from graphcl_hard.loader.features import FeatureMap, read_features
from graphcl_hard.nn.encoders.message_passing import MessagePassingEncoder
from graphcl_hard.run import parse
from graphcl_hard.runs.config_file import read_yaml
from graphcl_hard.runs.folder import RunFolder
from graphcl_hard.runs.resume import check_same_settings
from graphcl_hard.training.build import build_model
from graphcl_hard.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from graphcl_hard.training.state import Epoch, PartialEpoch, TrainingState


def test_the_campaign_has_ten_thousand_cases():
    assert sum(CASES.values()) >= 10_000


NEEDED = ["TINY_A.txt", "TINY_graph_indicator.txt"]
PARTS = st.sampled_from(
    ["TINY", "OTHER", "..", ".", "", "C:", "x" * 60, "tiny", "\\..", "a\\b", "\N{SNOWMAN}"]
)
FILES = st.sampled_from(
    [*NEEDED, "TINY_graph_labels.txt", "README.txt", "run.sh", "TINY_.txt", "", ".", "..", "NUL"]
)


@st.composite
def members(draw):
    """Members of a zip file: often a whole set, and others of any name and kind."""
    found = [(f"TINY/{name}", False) for name in NEEDED] if draw(st.integers(0, 3)) else []
    for _ in range(draw(st.integers(0, 4))):
        parts = [*draw(st.lists(PARTS, max_size=3)), draw(FILES)]
        name = draw(st.sampled_from(["/", "//", "\\"])).join(parts)
        found.append((draw(st.sampled_from(["", "/"])) + name, draw(st.integers(0, 5)) == 0))
    compression = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
    return [
        (name or "x", link, draw(st.binary(max_size=60)), draw(compression)) for name, link in found
    ]


def packed(drawn):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        for name, link, content, compression in drawn:
            info = zipfile.ZipInfo(name)
            info.external_attr = ((stat.S_IFLNK if link else stat.S_IFREG) | 0o644) << 16
            info.compress_type = compression
            zipped.writestr(info, content)
    return out.getvalue()


def unpacked(folder, content):
    """What comes of the file `content` in an empty folder, or None; all else around that folder stays as it is."""
    shutil.rmtree(folder, ignore_errors=True)
    archive, out = folder / "TINY.zip", folder / "a" / "b" / "out"
    out.mkdir(parents=True)
    archive.write_bytes(content)

    def action():
        extract(archive, "TINY", out)
        return True

    whole = outcome(action)
    assert {path for path in folder.rglob("*") if not path.is_dir()} == {archive, *out.glob("*")}
    assert not any(path.is_symlink() for path in out.iterdir())
    return {path.name: path.read_bytes() for path in out.iterdir()} if whole else None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
@campaign("zip files", members())
def test_a_zip_file_is_unpacked_as_it_was_packed_or_refused(tmp_path, drawn):
    found = unpacked(tmp_path / "x", packed(drawn))
    if found is None:
        return
    written = {}
    for name, link, content, _ in drawn:
        assert not link
        assert not name.startswith(("/", "\\"))
        assert ".." not in name.replace("\\", "/").split("/")
        written.setdefault(name.replace("\\", "/").rpartition("/")[2], []).append(content)
    assert set(NEEDED) <= set(found)
    for name, content in found.items():
        assert name == "README.txt" or name.startswith("TINY_")
        assert content in written[name]


SET = {name: (name * 9).encode() for name in [*NEEDED, "TINY_node_labels.txt"]}
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
WHOLE = [
    packed([(f"TINY/{name}", False, content, method) for name, content in SET.items()])
    for method in METHODS
]


@pytest.mark.slow
@campaign("zip files, damaged", CHANCE)
def test_a_damaged_zip_file_is_unpacked_as_it_was_or_refused(tmp_path, chance):
    found = unpacked(tmp_path / "x", damaged(chance.choice(WHOLE), chance))
    if found is not None:
        # A flipped bit in the name of a file that a set may lack leaves it out, or gives it another name.
        assert {name: found[name] for name in NEEDED} == {name: SET[name] for name in NEEDED}
        assert set(found.values()) <= set(SET.values())


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-3, 12),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "auto",
            "jsd",
            "gin",
            "svm",
            "none",
            "1e-3",
            "0x1F",
            "--beta",
            "-1",
            "..",
            "a\0b",
            "2001-99-99",
            "=",
            "9" * 5000,
        ]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = st.sampled_from([*Config().to_dict(), "bta", "out ", "<<", "__class__"])
LAUGHS = "a: &a [{}]\nb: &b [{}]\nc: &c [{}]\nd: &d [{}]\ne: &e [{}]\nbeta: [{}]".format(
    *(",".join([name] * 9) for name in ("x", "*a", "*b", "*c", "*d", "*e"))
)
SPECIAL = """&a [*a]|{[]: 1}|!!python/object/apply:os.system [exit]|2001-99-99|!!int x|!!float x|!!timestamp x|0b
a: b: c|!!binary '*'|*a|!!set {a}|!!omap [a]|!!null x|!!bool x|1:99:x"""
OTHERS = [
    "[" * 400,
    "{a: " * 400,
    "? [a]\n: b",
    "%YAML 9\n---\n",
    "- a\nb",
    "\t",
    "\x07",
    LAUGHS,
    f"x: {LAUGHS}",
]
RAW = st.sampled_from([*SPECIAL.replace("\n", "|").split("|"), *OTHERS])


@st.composite
def yaml_texts(draw):
    kind = draw(st.integers(0, 4))
    if kind <= 1:
        return yaml.safe_dump(
            draw(st.dictionaries(KEYS, VALUES, max_size=5)), allow_unicode=draw(st.booleans())
        ).encode()
    if kind == 2:
        return f"{draw(KEYS)}: {draw(RAW)}\n".encode()
    if kind == 3:
        return damaged(Config().to_yaml().encode(), draw(CHANCE))
    return draw(
        st.one_of(
            RAW.map(str.encode),
            st.binary(max_size=40),
            st.text(max_size=40).map(lambda text: text.encode("utf-8", "ignore")),
        )
    )


@pytest.mark.slow
@campaign("YAML", yaml_texts())
def test_settings_in_yaml_are_read_or_refused(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)
    found = outcome(lambda: read_yaml(path))
    if found:
        assert set(found) <= set(Config().to_dict())


@pytest.mark.slow
@campaign("YAML and the command line", yaml_texts())
def test_settings_in_yaml_are_what_the_command_takes_or_refused(tmp_path, text):
    path = tmp_path / "config.yaml"
    path.write_bytes(text)

    def checked():
        arguments = parse(["--config", str(path)])
        arguments.settings.check()
        return arguments.settings

    found = outcome(checked, lines=9)
    if found is not None:
        read = read_yaml(path)
        for name, value in found.to_dict().items():
            if name in read and not isinstance(read[name], str):
                assert value == read[name] or read[name] is None


def like(plain):
    """JSON like a given one: values of others, or other ones, in place of some."""
    leaves = st.one_of(
        SCALARS, VALUES, st.integers(0, 2**70), st.sampled_from(list(plain.values()))
    )
    return st.builds(
        lambda changes, gone: {**{k: v for k, v in plain.items() if k not in gone}, **changes},
        st.dictionaries(st.sampled_from([*plain, "x"]), leaves, min_size=1, max_size=2),
        st.sets(st.sampled_from(list(plain)), max_size=1),
    )


def texts_like(*plains):
    """JSON text like these objects', or damaged, or anything."""
    whole = st.one_of(*(like(plain) for plain in plains)).map(json.dumps).map(str.encode)
    bytes_ = st.builds(
        damaged, st.sampled_from([json.dumps(plain).encode() for plain in plains]), CHANCE
    )
    return st.one_of(
        whole,
        whole,
        bytes_,
        st.sampled_from([b"[" * 99999, b'{"a":' * 99999, b"NaN", b"\xff", b'"', b"1"]),
        VALUES.map(json.dumps).map(str.encode),
    )


GRAPHS = [nx.cycle_graph(3), nx.star_graph(4), nx.path_graph(5)]
EDGES = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])


def encoders():
    torch.manual_seed(0)
    yield MessagePassingEncoder("gcn", 3, 4, 2).eval()
    yield MessagePassingEncoder("pna", 3, 4, 1, degree_histogram=[0, 2, 1]).eval()
    yield GINEncoder(3, 4, 2, "attention").eval()


ENCODERS = list(encoders())


def embedded(encoder):
    with torch.no_grad():
        return encoder(torch.eye(3), EDGES).graph_embedding


@pytest.mark.slow
@campaign(
    "encoder.json",
    st.sampled_from(ENCODERS).flatmap(
        lambda one: st.tuples(st.just(one), texts_like(one.arguments))
    ),
)
def test_an_encoders_arguments_are_read_or_refused(tmp_path, drawn):
    encoder, text = drawn
    encoder.save_pretrained(tmp_path)
    (tmp_path / "encoder.json").write_bytes(text)
    found = outcome(lambda: load_encoder(tmp_path))
    if found is not None and found.in_channels == 3:
        assert torch.isfinite(embedded(found)).all()


@pytest.mark.slow
@campaign("encoder.safetensors", st.sampled_from(ENCODERS), CHANCE)
def test_an_encoders_weights_are_read_as_they_were_or_refused(tmp_path, encoder, chance):
    encoder.save_pretrained(tmp_path)
    path = tmp_path / "encoder.safetensors"
    content = path.read_bytes()
    path.write_bytes(damaged(content, chance, times=2))
    found = outcome(lambda: load_encoder(tmp_path))
    if found is not None:
        assert torch.equal(embedded(found), embedded(encoder))


MAPS = [
    FeatureMap((("a", "b"), (1, 2, 3)), (0.5,), (2.0,)),
    FeatureMap(largest_degree=4),
    FeatureMap((("a",),), names=Names("kind", (), None, ("size", "charge"))),
    FeatureMap((), (2.0,), (1.5,), 2000, True),
]


@pytest.mark.slow
@campaign("features.json", texts_like(*(one.to_dict() for one in MAPS)))
def test_a_map_of_features_is_read_or_refused(tmp_path, text):
    """Also of what has the sum of its own content; test_embed.py has one with another's."""
    with contextlib.suppress(ValueError, RecursionError):
        content = json.loads(text)
        text = json.dumps(with_checksum(content)).encode() if isinstance(content, dict) else text
    (tmp_path / "features.json").write_bytes(text)
    found = outcome(lambda: read_features(tmp_path))
    if found is not None:
        assert found.channels >= 1
        assert np.isfinite([*found.mean, *found.std]).all()
        assert FeatureMap.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.slow
@campaign(
    "result.json and config.yaml", texts_like({"status": "finished", "epoch": 3}), yaml_texts()
)
def test_the_records_of_a_run_are_read_or_refused(tmp_path, text, settings):
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    (folder / "result.json").write_bytes(text)
    (folder / "config.yaml").write_bytes(settings)
    outcome(lambda: check_same_settings(Config(out=folder)))
    run = outcome(lambda: RunFolder(folder, resume=True))
    try:
        found = outcome(lambda: run.read_json("result.json"))
        assert found is None or isinstance(found, dict)
    finally:
        run._release()


CONFIG = Config(hidden_channels=3, num_layers=1, accelerator="cpu")
ROWS = [Epoch(epoch, 1.0, 0.5, 0.5, 0.1, -0.1, 0.01) for epoch in (1, 2)]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """The bytes of two checkpoints, after an epoch, and after two and a step of the third."""
    folder, found = tmp_path_factory.mktemp("checkpoints"), []
    state = TrainingState(build_model(CONFIG, 2), CONFIG)
    for epoch in (1, 2):
        with torch.no_grad():
            next(state.model.parameters()).fill_(epoch)
        if epoch == 2:
            state.partial = PartialEpoch()
            state.partial.add(torch.arange(6.0), 7)
            state.partial.order.permutation("graphs", 9, state.generator)
        write_checkpoint(folder, state, Progress(ROWS[:epoch]))
        found.append((folder / CHECKPOINTS[0]).read_bytes())
    return found


@pytest.mark.slow
@campaign("checkpoint.safetensors", CHANCE)
def test_of_checkpoints_a_whole_one_is_used_or_all_refused(tmp_path, checkpoints, chance):
    last, before = (tmp_path / name for name in CHECKPOINTS)
    last.write_bytes(damaged(checkpoints[1], chance, times=1))
    before.write_bytes(
        checkpoints[0] if chance.random() < 0.5 else damaged(checkpoints[0], chance, times=1)
    )
    state = TrainingState(build_model(CONFIG, 2), CONFIG)
    found = outcome(lambda: read_checkpoint(tmp_path, state))
    if found is not None:
        assert found.epochs == ROWS[: state.epoch]
        assert (next(state.model.parameters()) == state.epoch).all()
        assert (found.complaint is None) == (state.epoch == 2) == (state.partial is not None)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("estimator") / "saved"
    settings = {
        "epochs": 1,
        "hidden_channels": 3,
        "num_layers": 1,
        "batch_size": 2,
        "beta": 0,
        "random_state": 0,
    }
    with pytest.warns(UserWarning, match="so 1 negatives"):
        estimator = HardInfoGraph(**settings).fit(GRAPHS)
    estimator.save(path)
    return path, estimator.transform(GRAPHS)


@pytest.mark.slow
@campaign("an estimator's file", CHANCE, VALUES)
def test_an_estimators_file_is_read_as_it_was_or_refused(tmp_path, saved, chance, value):
    path = tmp_path / "copy"
    if chance.random() < 0.5:
        path.write_bytes(damaged(saved[0].read_bytes(), chance, times=2))
    else:  # another text with a right sum
        tensors, text = read_checksummed(saved[0], "estimator")
        content = json.loads(text)
        inner = chance.choice(
            [content, *(part for part in content.values() if isinstance(part, dict))]
        )
        inner[chance.choice(list(inner))] = value
        write_checksummed(path, tensors, "estimator", json.dumps(content))
    found = outcome(lambda: HardInfoGraph.load(path))
    if found is not None:
        vectors = outcome(lambda: found.transform(GRAPHS), lines=9)
        assert vectors is None or vectors.shape[0] == 3


@pytest.mark.slow
@campaign(
    "vectors",
    st.sampled_from([np.float32, np.float64]),
    st.integers(0, 4),
    st.integers(1, 3),
    CHANCE,
)
def test_vectors_are_read_back_bit_for_bit(tmp_path, dtype, graphs, width, chance):
    bits = np.frombuffer(chance.randbytes(graphs * width * dtype().itemsize), dtype).reshape(
        graphs, width
    )
    vectors, y = np.where(np.isnan(bits), dtype(0), bits), np.arange(graphs)
    for suffix in (".npz", ".csv", ".parquet"):
        path = tmp_path / f"v{suffix}"
        write_vectors(path, [vectors], ids=np.array([f"g, {n}" for n in y]), labels=y)
        if suffix == ".npz":
            with np.load(path) as arrays:
                found, labels = arrays["vectors"], arrays["y"]
        else:
            frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
            found, labels = frame.iloc[:, 1:-1].to_numpy().astype(dtype), frame["y"].to_numpy()
        assert found.astype(dtype).tobytes() == vectors.tobytes()
        assert labels.tolist() == y.tolist()


@campaign(
    "vectors, damaged", st.sampled_from([".npz", ".csv", ".parquet"]), st.integers(1, 4), CHANCE
)
def test_damaged_vectors_are_read_or_refused(tmp_path, suffix, graphs, chance):
    path = tmp_path / f"v{suffix}"
    write_vectors(
        path,
        [np.arange(2.0 * graphs).reshape(graphs, 2)],
        ids=np.arange(graphs),
        labels=np.arange(graphs),
    )
    path.write_bytes(damaged(path.read_bytes(), chance, times=2))
    found = outcome(lambda: read_vectors(path))
    if found is not None:
        vectors, labels = found[:2]
        labels = next(iter(labels.values())) if isinstance(labels, dict) else labels
        assert {array.shape[0] for array in vectors.values()} == {len(labels)}
        assert all(np.isfinite(array).all() or suffix != ".csv" for array in vectors.values())
