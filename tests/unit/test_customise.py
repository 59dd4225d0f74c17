"""What `remove-files` takes away, and what it says when that is nothing."""

from __future__ import annotations

from pathlib import Path

from apt_ostree.tree import customise
from tests.unit.treemaker import names, put


def test_what_is_not_removed_is_told(tmp_path: Path) -> None:
    for rel in ("usr/bin/rmme", "usr/share/doc/a/x", "usr/share/doc/b/x", "usr/lib/real/x"):
        put(tmp_path, rel)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/lib/link").symlink_to("real")
    (tmp_path / "usr/lib/away").symlink_to("/usr/lib/real")
    assert customise.remove_files(tmp_path, ["/usr/share/doc/*"]) == ()
    assert names(tmp_path / "usr/share/doc") == []
    (nothing,) = customise.remove_files(tmp_path, ["/usr/share/none*"])
    assert "'/usr/share/none*'" in nothing and "matches nothing" in nothing
    (link,) = customise.remove_files(tmp_path, ["/usr/lib/link/x"])
    assert "'/usr/lib/link/x'" in link and "the link /usr/lib/link" in link
    (several,) = customise.remove_files(tmp_path, ["/*/rmme"])
    assert "the link /bin" in several
    assert customise.remove_files(tmp_path, ["/usr/lib/link"]) == ()
    assert (tmp_path / "usr/lib/real/x").is_file() and (tmp_path / "usr/bin/rmme").is_file()
    assert customise.remove_files(tmp_path, ["/usr/lib/real", "/usr/bin/rm*"]) == ()
    assert not (tmp_path / "usr/lib/real").exists() and names(tmp_path / "usr/bin") == []


def test_below_a_directory_that_goes_as_well(tmp_path: Path) -> None:
    put(tmp_path, "usr/share/x/a/b")
    assert customise.remove_files(tmp_path, ["/usr/share/x/**"]) == ()
    assert names(tmp_path / "usr/share") == []
