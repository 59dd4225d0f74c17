"""The plain format: layers that are a root file system and nothing else, as bootc and podman take them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable

from apt_ostree.oci.encapsulate import copy, entry
from apt_ostree.oci.objects import Content, unpack_xattrs
from apt_ostree.oci.source import Directory, Source
from apt_ostree.oci.tarwriter import DIRECTORY, END, LINK, Entry, Sink, header


class Writer:
    """One layer on its way into a tar."""

    def __init__(self, source: Source, sink: Sink) -> None:
        self._source, self._sink = source, sink
        self._folders = {found.path: found for found in source.directories}
        self._written: set[str] = set()

    def first(self) -> None:
        """Every directory."""
        for found in self._source.directories:
            self._directory(found)

    def _directory(self, found: Directory) -> None:
        self._written.add(found.path)
        self._sink.write(
            header(
                Entry(
                    name=os.fsencode(f"{found.path}/" if found.path else "./"),
                    kind=DIRECTORY,
                    mode=stat.S_IMODE(found.mode),
                    uid=found.uid,
                    gid=found.gid,
                    mtime=found.mtime,
                    xattrs=unpack_xattrs(found.xattrs),
                )
            )
        )

    def objects(self, keys: Iterable[str]) -> None:
        """Files, by their first path; other paths of the same file are hard links to it."""
        groups = self._source.groups
        for key in sorted(keys, key=lambda key: groups[key][0]):
            content, mtime = self._source.content(key), self._source.mtime(key)
            first, *others = groups[key]
            self._file(key, first, content, mtime)
            for path in others:
                if content.is_link or not content.size:
                    self._file(key, path, content, mtime)
                else:
                    self._link(path, first, content, mtime)

    def _file(self, key: str, path: str, content: Content, mtime: int) -> None:
        self._parents(path)
        self._sink.write(header(entry(path, content, mtime=mtime, xattrs=unpack_xattrs(content.xattrs))))
        copy(self._source, key, content, self._sink)

    def _link(self, path: str, first: str, content: Content, mtime: int) -> None:
        self._parents(path)
        self._sink.write(
            header(
                Entry(
                    name=os.fsencode(path),
                    kind=LINK,
                    mode=stat.S_IMODE(content.mode),
                    uid=content.uid,
                    gid=content.gid,
                    mtime=mtime,
                    link=os.fsencode(first),
                )
            )
        )

    def _parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            if above not in self._written:
                self._directory(self._folders[above])

    def end(self) -> None:
        self._sink.write(END)
