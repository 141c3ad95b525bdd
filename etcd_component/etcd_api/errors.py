"""What can go wrong between this program and etcd, as types.

Every text of etcd that steers what we do stands here once, with the version it was seen in.
"""

from __future__ import annotations


class ApiError(Exception):
    """A request was not done. The text is fit for a sentence: etcd's own words, or the reason."""


class Unreachable(ApiError):
    """Nothing that speaks HTTP answered."""


class ConnectionRefused(Unreachable):
    """The machine itself said, for every address of its name, that nothing listens there."""


class ConnectTimeout(Unreachable):
    """Nobody took the connection in time."""


class AnswerTimeout(Unreachable):
    """The connection stands, and the answer did not come in time."""


class HandshakeFailed(Unreachable):
    """TLS was not agreed upon: another CA, an expired certificate, or no TLS at all there."""


class CertificateUntrusted(HandshakeFailed):
    """The server's certificate is none of this cluster's, or is not for this name."""


class CertificateExpired(CertificateUntrusted):
    """The server's certificate was good once."""


class CertificateRefused(HandshakeFailed):
    """The server does not take this side's certificate. `alert` is what TLS calls it."""

    def __init__(self, alert: str) -> None:
        super().__init__(f"it refuses this side's certificate: {alert}")
        self.alert = alert


class ConnectionLost(Unreachable):
    """The connection was closed before the answer was there."""


class UnexpectedAnswer(ApiError):
    """Something answered that is not what etcd says."""


class EtcdError(ApiError):
    """etcd answered with an error. `code` is gRPC's; None where the answer has none."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class AuthNotEnabled(EtcdError):
    """Authentication is off."""


class WrongPassword(EtcdError):
    """No user of that name has that password."""


class TokenInvalid(EtcdError):
    """The token is unknown to this member, or older than the last change of access: log in anew."""


class NoLogin(EtcdError):
    """The request carries no login, and authentication is on."""


class AlreadyExists(EtcdError):
    """The user, role or peer URL is there already."""


class NotFound(EtcdError):
    """The user, role or member is not there."""


class NotGranted(EtcdError):
    """The role is not the user's, or the permission not the role's."""


class UnhealthyCluster(EtcdError):
    """Too few members are connected for a change of membership; after each change for 5 s, too."""


class LearnerBusy(EtcdError):
    """Another learner is being added, or this one has not caught up yet."""


class NotALearner(EtcdError):
    """Only a learner can be promoted: it votes already."""


class NoDowngrade(EtcdError):
    """No downgrade is on its way."""


class Passing(EtcdError):
    """An election, a member that stops, a flood: it may pass, and be tried again."""


MESSAGES: tuple[tuple[str, type[EtcdError]], ...] = (
    # 3.5.35, 3.6.16 and 3.7.3 say all of these alike (api/v3rpc/rpctypes/error.go).
    ("authentication is not enabled", AuthNotEnabled),
    ("authentication failed, invalid user ID or password", WrongPassword),
    ("password was given for no password user", WrongPassword),
    ("invalid auth token", TokenInvalid),
    ("revision of auth store is old", TokenInvalid),
    ("user name is empty", NoLogin),
    ("user name already exists", AlreadyExists),
    ("role name already exists", AlreadyExists),
    ("Peer URLs already exists", AlreadyExists),
    ("user name not found", NotFound),
    ("role name not found", NotFound),
    ("member not found", NotFound),
    ("role is not granted to the user", NotGranted),
    ("permission is not granted to the role", NotGranted),
    ("unhealthy cluster", UnhealthyCluster),
    ("not enough started members", UnhealthyCluster),
    ("too many learner", LearnerBusy),
    ("in sync with leader", LearnerBusy),
    ("no inflight downgrade", NoDowngrade),
    ("timed out", Passing),
    ("leader changed", Passing),
    ("no leader", Passing),
    ("stopped", Passing),
    ("too many requests", Passing),
)

_PROMOTED = "can only promote a learner member"


def etcd_error(message: str, code: int | None = None) -> EtcdError:
    """The error that etcd's words mean."""
    # A learner that is not ready yet says so with more words behind the same ones.
    if message.rstrip().endswith(_PROMOTED):
        return NotALearner(message, code)
    for text, kind in MESSAGES:
        if text in message:
            return kind(message, code)
    return EtcdError(message, code)


def may_pass(error: ApiError) -> bool:
    """Whether the same request may succeed a moment later, perhaps after another login."""
    return isinstance(error, (Unreachable, TokenInvalid, Passing))
