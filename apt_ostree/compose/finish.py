"""From an ordinary tree to an image: the tree rules with the initramfs between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from apt_ostree.report import OutputLine, Reporter, phase
from apt_ostree.tools import bwrap
from apt_ostree.tree import dpkgdb, homes, kernel, rules, sandbox


def make_image(
    job: rules.FinishJob, arguments: Sequence[str], environment: Mapping[str, str], reporter: Reporter
) -> rules.FinishReport:
    """Apply every rule to a tree, in place. `arguments` are for its dracut, which also has the `environment`.

    Raises AptOstreeError: those of `rules.finish`, and code `initramfs`. The tree is then half an image.
    """

    def line(text: str) -> None:
        reporter.event(OutputLine(line=text))

    prefix = bwrap.prefix(job.root, env={**sandbox.ENVIRONMENT, **environment})
    with phase(reporter, "rules", "Making an image of it"):
        arranged = rules.arrange(job)
        homes.put_aside(job.root, prefix, f"/{dpkgdb.DATABASE}")
    if arranged.kernel:
        with phase(reporter, "initramfs", "Building the initramfs"):
            kernel.tell_dpkg(job.root, arranged.kernel, prefix)
            kernel.make_initramfs(job.root, arranged.kernel, prefix, line, arguments=arguments)
    return rules.seal(job, arranged)
