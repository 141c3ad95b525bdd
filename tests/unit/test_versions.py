"""Which releases of etcd may run, and how their archives are known to be the right ones."""

import pytest

from etcd_component import versions
from etcd_component.inventory import options
from etcd_component.mistake import Wrong


@pytest.mark.parametrize("text", ["3.6.14", "v3.6.14"])
def test_a_release_is_written_with_or_without_v(text: str) -> None:
    assert versions.supported(text) == "3.6.14"


@pytest.mark.parametrize("text", ["3.5.26", "3.5.33", "3.6.0", "3.6.999", "3.7.0"])
def test_supported_lines_may_run(text: str) -> None:
    assert versions.supported(text) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("3.4.45", "end of life"),
        ("2.3.8", "end of life"),
        ("3.5.0", "corrupt"),
        ("3.5.2", "corrupt"),
        ("3.5.4", "before 3.5.26 removed members can come back"),
        ("3.5.25", "before 3.5.26 removed members can come back"),
        ("3.8.0", "not supported, only 3.5, 3.6, 3.7"),
        ("4.0.0", "not supported"),
        ("3.6", "a line of releases"),
        ("3.7.0-rc.0", "not a released version"),
        ("latest", "not a released version"),
        ("", "not a released version"),
    ],
)
def test_a_release_that_must_not_run_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(Wrong) as refusal:
        versions.supported(text)
    assert problem in refusal.value.problem
    assert "write a release such as" in refusal.value.cure


def test_the_cure_stays_on_the_line_that_was_asked_for() -> None:
    with pytest.raises(Wrong) as refusal:
        versions.supported("3.5.4")
    assert versions.newest("3.5") in refusal.value.cure  # type: ignore[operator]


@pytest.mark.parametrize(
    ("version", "warned"),
    [
        ("3.5.32", True),
        ("3.5.33", False),
        ("3.6.13", True),
        ("3.6.14", False),
        ("3.7.0", True),
        ("3.7.1", False),
    ],
)
def test_below_the_security_floor_of_its_line_a_release_comes_with_a_warning(
    version: str, warned: bool
) -> None:
    assert bool(versions.advice(version)) is warned


def test_releases_are_compared_as_numbers() -> None:
    assert versions.newest("3.6", {"3.6.9": {}, "3.6.14": {}, "3.5.33": {}}) == "3.6.14"
    assert versions.newest("3.7", {"3.6.9": {}}) is None


def test_every_published_checksum_is_one_of_a_release_that_may_run() -> None:
    for version, sums in versions.published().items():
        assert versions.supported(version) == version
        assert set(sums) == set(versions.ARCHITECTURES)
        assert all(len(digest) == 64 and int(digest, 16) for digest in sums.values())


def test_a_site_adds_the_checksums_of_its_own_mirror() -> None:
    digest = "AB" * 32
    known = versions.with_sums(
        {"3.6.14": {"amd64": "old", "arm64": "kept"}},
        f"{digest}  etcd-v3.6.16-linux-amd64.tar.gz\n"
        f"{digest} *./etcd-v3.6.14-linux-amd64.tar.gz\n"
        f"{digest}  etcd-v3.6.16-darwin-amd64.zip\n"
        f"{digest}  etcd-v3.7.0-rc.0-linux-amd64.tar.gz\n",
    )
    assert known == {
        "3.6.14": {"amd64": digest.lower(), "arm64": "kept"},
        "3.6.16": {"amd64": digest.lower()},
    }


@pytest.mark.parametrize(
    "text", ["", "<html>not found</html>", "abc  etcd-v3.6.1-linux-amd64.tar.gz"]
)
def test_a_checksums_file_without_a_checksum_is_refused(text: str) -> None:
    with pytest.raises(Wrong, match="no checksum"):
        versions.with_sums({}, text)


# --- etcd's own configuration keys


@pytest.mark.parametrize("minor", versions.MINORS)
def test_every_supported_line_has_its_keys(minor: str) -> None:
    assert options.kind_of(minor, "max-request-bytes") == "integer"
    assert options.kind_of(minor, "grpc-keepalive-interval") == "duration"


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("max-request-bytes", 3145728, 3145728),
        ("max-request-bytes", "3145728", 3145728),
        ("corrupt-check-time", "1h30m", 5_400_000_000_000),
        ("corrupt-check-time", 1000, 1000),
        ("pre-vote", "no", False),
        ("log-outputs", ["stderr"], ["stderr"]),
        ("socket-options", {"reuse-port": True}, {"reuse-port": True}),
        ("feature-gates", "LeaseCheckpoint=true", "LeaseCheckpoint=true"),
    ],
)
def test_an_option_is_written_as_etcds_file_wants_it(
    key: str, value: object, written: object
) -> None:
    assert options.read(key, value, "3.6") == {key: written}


@pytest.mark.parametrize(
    ("key", "value", "older", "later"),
    [
        (
            "experimental-corrupt-check-time",
            "1h",
            {"experimental-corrupt-check-time": 3_600_000_000_000},
            {"corrupt-check-time": 3_600_000_000_000},
        ),
        (
            "experimental-snapshot-catch-up-entries",
            5000,
            {"experimental-snapshot-catch-up-entries": 5000},
            {"snapshot-catchup-entries": 5000},
        ),
        (
            "experimental-enable-lease-checkpoint",
            "no",
            {"experimental-enable-lease-checkpoint": False},
            {"feature-gates": "LeaseCheckpoint=false"},
        ),
    ],
)
def test_an_option_is_written_as_the_line_calls_it(
    key: str, value: object, older: dict[str, object], later: dict[str, object]
) -> None:
    assert options.read(key, value, "3.5") == older
    for minor in ("3.6", "3.7"):
        assert options.read(key, value, minor) == later
        ((name, written),) = later.items()
        assert options.read(name, written, "3.5") == older


def test_gates_of_several_options_are_one_line_and_nothing_is_said_twice() -> None:
    gates = {"feature-gates": "LeaseCheckpoint=true"}
    switch = options.read("experimental-stop-grpc-service-on-defrag", True, "3.6")
    assert options.merged(gates, switch) == {
        "feature-gates": "LeaseCheckpoint=true,StopGRPCServiceOnDefrag=true"
    }
    with pytest.raises(Wrong, match="sets the feature gate LeaseCheckpoint again"):
        options.merged(gates, options.read("experimental-enable-lease-checkpoint", False, "3.6"))
    with pytest.raises(Wrong, match="it is the same as corrupt-check-time"):
        options.merged(
            options.read("corrupt-check-time", "1h", "3.7"),
            options.read("experimental-corrupt-check-time", "2h", "3.7"),
        )


@pytest.mark.parametrize(
    ("minor", "key", "value", "said"),
    [
        ("3.6", "max-reqest-bytes", 1, "did you mean max-request-bytes"),
        ("3.6", "max_request_bytes", 1, "did you mean max-request-bytes"),
        ("3.6", "enable-v2", True, "etcd 3.6 does not know it"),
        ("3.5", "max-learners", 2, "etcd 3.5 does not know it"),
        ("3.5", "feature-gates", "SetMemberLocalAddr=true", "nothing like the feature gate"),
        ("3.5", "feature-gates", "FastLeaseKeepAlive=true", "has no feature gate"),
        ("3.7", "experimental-enable-v2v3", "/v2", "etcd 3.7 does not know it"),
        ("3.6", "feature-gates", "FastLeaseKeepAlive=true", "etcd 3.6 has no feature gate"),
        ("3.6", "feature-gates", "LeaseCheckpoint=maybe", "has no feature gate"),
        ("3.6", "quota-backend-bytes", 1, "set etcd_quota instead"),
        ("3.6", "initial-cluster", "a=b", "it follows from the members"),
        ("3.6", "force-new-cluster", True, "throw all other members out"),
        ("3.6", "corrupt-check-time", "often", "is not a duration"),
        ("3.6", "log-outputs", "stderr", "is not a list"),
        ("3.6", "logger", True, "is not text"),
        ("3.6", "socket-options", "reuse", "not a mapping"),
        ("3.6", "max-txn-ops", None, "it has no value"),
        ("3.6", "logger", "{{ logger }}", "Jinja"),
    ],
)
def test_an_option_that_etcd_would_pass_over_is_refused(
    minor: str, key: str, value: object, said: str
) -> None:
    with pytest.raises(Wrong) as refusal:
        options.read(key, value, minor)
    assert said in f"{refusal.value.problem}; {refusal.value.cure}"
