"""Our metadata keys, there and back."""

from __future__ import annotations

import pytest

from apt_ostree import commitmeta
from apt_ostree.model import LayerMeta, Package

FOO = Package(name="foo", version="1:2.0-1", arch="amd64", source="foo-src", size=12)
BAR = Package(name="bar", version="1~rc1", arch="all", source='b"ar;', size=0)


def test_round_trip() -> None:
    layer = LayerMeta(
        base="a" * 64, packages=(FOO, BAR), removals=(BAR,), replacements=((FOO, BAR),), state_digest="d" * 64
    )
    strings = commitmeta.encode(layer, pkglist=(BAR, FOO), users={"www": 33}, sources=("s1",))
    assert all(isinstance(value, str) for value in strings.values())
    assert commitmeta.decode_layer(strings) == layer
    assert commitmeta.decode_pkglist(strings) == (BAR, FOO)
    assert commitmeta.decode_users(strings) == {"www": 33}
    assert commitmeta.decode_sources(strings) == ("s1",)


def test_a_base_commit_has_a_list_and_no_layer() -> None:
    strings = commitmeta.encode(pkglist=(FOO,))
    assert commitmeta.decode_layer(strings) is None
    assert commitmeta.decode_pkglist(strings) == (FOO,)
    assert commitmeta.decode_pkglist({}) is None


def test_a_long_list_fits_into_arguments() -> None:
    packages = tuple(Package(name=f"package-{n}", version="1.0", arch="amd64", source="s" * 60) for n in range(5000))
    strings = commitmeta.encode(pkglist=packages)
    assert len(strings) > 1
    # MAX_ARG_STRLEN: 32 pages for one argument
    assert all(len(f"--add-metadata-string={key}={value}".encode()) < 128 * 1024 for key, value in strings.items())
    assert commitmeta.decode_pkglist(strings) == packages
    assert all(commitmeta.is_bulk(key) for key in strings)


@pytest.mark.parametrize(
    "metadata",
    [
        {"apt-ostree.base": 7},
        {"apt-ostree.base": "x", "apt-ostree.packages": "not json"},
        {"apt-ostree.base": "x", "apt-ostree.packages": "{}"},
        {"apt-ostree.base": "x", "apt-ostree.packages": '[["a", 1, "b", "c", 2]]'},
        {"apt-ostree.base": "x", "apt-ostree.packages": "[" * 100000},
        {"apt-ostree.base": "x", "apt-ostree.replacements": "[[1]]"},
    ],
)
def test_nonsense_is_named(metadata: dict[str, object]) -> None:
    with pytest.raises(commitmeta.CommitMetaError):
        commitmeta.decode_layer(metadata)
