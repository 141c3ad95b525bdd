"""Asking members with a certificate that somebody has broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcd_component.agent.client import UNREACHABLE, Client
from etcd_component.etcd_api.errors import ApiError


def test_with_a_broken_certificate_nobody_answers_and_the_reason_says_why(tmp_path: Path) -> None:
    """What asks is often what comes before the certificate is put right, such as `binary`."""
    for name in ("ca.crt", "server.crt", "server.key"):
        (tmp_path / name).write_text("not PEM")
    client = Client(tmp_path)
    assert "a raised etcd_repair puts it back" in client.fault()
    with pytest.raises(ApiError, match="cannot be used"):
        client.members("https://127.0.0.1:1")
    assert client.members_or_none("https://127.0.0.1:1") is None
    assert client.versions_or_none("https://127.0.0.1:1") is None
    assert not client.is_ready("https://127.0.0.1:1")
    assert client.metrics("https://127.0.0.1:1") == ""
    state = client.probe("https://127.0.0.1:1")
    assert (state.kind, "cannot be used" in state.reason) == (UNREACHABLE, True)
