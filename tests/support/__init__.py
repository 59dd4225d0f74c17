"""The test ground: packages, archives, sysroots and hosts that live for one test."""
