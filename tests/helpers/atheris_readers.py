"""Coverage-guided fuzzing of what reads files, by atheris: `make fuzz`; not part of the tests.

Each reader is given bytes that atheris makes of sound files; it may read them or refuse them with an `InputError`, and
anything else is found. `python tests/helpers/atheris_readers.py tu -max_total_time=300`; all further words are
libFuzzer's.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["graphcl_hard", "zipfile", "safetensors"]):
    from graphcl_hard.data.tu.archive import extract
    from graphcl_hard.data.tu.reader import read_tu_folder
    from graphcl_hard.exceptions import InputError
    from graphcl_hard.io.checksum import encode_checksummed, read_checksummed

import torch
from tu_files import FILES, zip_bytes

FOLDER = Path(tempfile.mkdtemp())
PARTS = (
    *("A", "graph_indicator", "graph_labels", "node_labels", "edge_labels", "node_attributes"),
    *("edge_attributes", "graph_attributes"),
)
BETWEEN = b"\xff\xfe"  # of a set's files, in one input
SOUND = {
    "tu": [
        BETWEEN.join(text.encode() for text in FILES.values()),
        BETWEEN.join([b"1, 2\n2, 1\n", b"1\n1\n", b"0\n"]),
    ],
    "zip": [zip_bytes()],
    "safetensors": [
        encode_checksummed({"weight": torch.ones(3, 2), "bias": torch.zeros(0)}, "text", "words")
    ],
}


def tu(content):
    folder = FOLDER / "TINY"
    folder.mkdir(exist_ok=True)
    parts = content.split(BETWEEN)
    for number, part in enumerate(PARTS):
        path = folder / f"TINY_{part}.txt"
        if number < len(parts):
            path.write_bytes(parts[number])
        else:
            path.unlink(missing_ok=True)
    read_tu_folder(folder, "TINY")


def zip_(content):
    (FOLDER / "TINY.zip").write_bytes(content)
    out = FOLDER / "out"
    out.mkdir(exist_ok=True)
    extract(FOLDER / "TINY.zip", "TINY", out)


def safetensors(content):
    (FOLDER / "file").write_bytes(content)
    read_checksummed(FOLDER / "file", "text", required=False)


READERS = {"tu": tu, "zip": zip_, "safetensors": safetensors}


def main():
    reader = READERS[sys.argv[1]]

    def once(content):
        try:
            reader(content)
        except InputError as error:
            if "\n" in str(error):
                raise AssertionError(f"more than a line: {error}") from error

    corpus = FOLDER / "corpus"
    corpus.mkdir()
    for number, content in enumerate(SOUND[sys.argv[1]]):
        (corpus / str(number)).write_bytes(content)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[2:]], once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
