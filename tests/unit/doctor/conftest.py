"""Another host's files: what doctor looks at, laid out in a folder."""

import os

import pytest

from jailpy.host import surroundings

PLAIN = {
    "/proc/self/status": "Name:\tpython3\nSeccomp:\t0\n",
    "/proc/self/uid_map": "         0          0 4294967295\n",
    "/proc/self/ns/user": "",
    "/proc/self/mountinfo": "21 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n22 21 0:5 / /proc rw - proc proc rw\n",
    "/proc/self/attr/current": "unconfined\n",
    "/proc/sys/user/max_user_namespaces": "62000\n",
    "/proc/self/cgroup": "0::/user.slice/user-1000.slice/session-2.scope\n",
    "/run/systemd/system": "",
    "/etc/os-release": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
}


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a function that makes a plain host, changed by some files (None removes one), seen by an ordinary user."""
    monkeypatch.setattr(surroundings, "ROOT", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    def make(changes=(), uid=1000):
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        for path, content in {**PLAIN, **dict(changes)}.items():
            if content is not None:
                file = tmp_path / path.lstrip("/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content)

    return make
