"""What is said of logs is true: who records standard input records secrets."""

from __future__ import annotations

from tests.unit.test_docs import ROOT


def test_the_promise_that_no_log_holds_a_secret_names_those_that_do() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    promise = readme[readme.index("No secret is ever part of") :][:400]
    assert "how-it-works.md#what-records-secrets" in promise
    page = (ROOT / "docs" / "how-it-works.md").read_text()
    section = page[page.index("### What records secrets") :].split("\n## ")[0]
    for recorder in ("log_input", "pulumi -v=9", "PULUMI_DEBUG_GRPC"):
        assert recorder in section
