"""A tiny TU set, as files and as a zip file."""

import io
import zipfile

FILES = {
    "TINY_A.txt": "1, 2\n2, 1\n",
    "TINY_graph_indicator.txt": "1\n1\n",
    "TINY_graph_labels.txt": "0\n",
}


def zip_bytes(members=None, name="TINY"):
    """A zip file as the official ones are, with a double slash, or with the given members."""
    members = (
        {f"{name}//{file}": text for file, text in FILES.items()} if members is None else members
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for member, content in members.items() if isinstance(members, dict) else members:
            zipped.writestr(member, content)
    return out.getvalue()
