"""The CAs that a cluster trusts: which there are, which one signs, and whether it can."""

from collections.abc import Sequence
from dataclasses import replace

from etcd_component.inventory.groups import Vars
from etcd_component.inventory.parameters import PARAMETERS
from etcd_component.mistake import Findings
from etcd_component.model import GIVEN, Instance, Settings


def check(place: str, settings: Settings, vars_: Vars, findings: Findings) -> None:
    """Whether it is said which CAs are trusted and which one signs, and whether it can."""
    if any(
        name in vars_ and getattr(settings, PARAMETERS[name].field or "") is None
        for name in ("etcd_ca_trusted", "etcd_ca_signing")
    ):
        return  # What cannot be read is a mistake already.

    def at(*names: str) -> str:
        return next((vars_[name].place for name in names if name in vars_), f"{place}.vars")

    trusted, signer = settings.authorities, settings.signer
    listed = ", ".join(str(one) for one in trusted)
    if len(trusted) > 1 and settings.ca_signing is None:
        findings.wrong(
            at("etcd_ca_trusted"),
            f"it is not said which of the CAs {listed} signs",
            "set etcd_ca_signing; until all members trust a new one, that is the old one",
        )
    elif signer not in trusted:
        findings.wrong(
            at("etcd_ca_signing"),
            f"CA {signer} would sign, but only {listed} is trusted",
            "put it into etcd_ca_trusted: a CA is trusted first, and signs in a later update",
        )
    elif signer == GIVEN and settings.ca_cert and "etcd_ca_key" not in vars_:
        findings.wrong(
            at("etcd_ca_cert"),
            "this CA signs, but its key is missing",
            "set etcd_ca_key, as a secret",
        )
    if GIVEN in trusted and "etcd_ca_cert" not in vars_:
        findings.wrong(
            at("etcd_ca_trusted"),
            "no CA is given",
            "set etcd_ca_cert, or take given out",
        )
    if settings.ca_key and "etcd_ca_cert" not in vars_:
        findings.wrong(at("etcd_ca_key"), "it has no partner", "give etcd_ca_cert too, or neither")


def examined(
    settings: Settings, instances: Sequence[Instance], vars_: Vars, findings: Findings
) -> Settings:
    """The settings with the certificates of `etcd_ca_cert` in order, the one that signs first.

    Whether that CA can do what it is for is found here, and not by a node.
    """
    if settings.ca_cert is None or GIVEN not in settings.authorities:
        return settings
    # A tenth of a second, so only where there is such a CA.
    from etcd_component.inventory import external_ca

    subject = external_ca.Subject(
        sorted({name for one in instances for name in one.dns_names}),
        sorted({name for one in instances for name in one.ip_addresses}),
    )
    signs = settings.signer == GIVEN
    result = external_ca.examine(settings.ca_cert, settings.ca_key, subject, signs=signs)
    for one in result.problems:
        findings.wrong(vars_[one.parameter].place, one.problem, one.cure)
    if result.warning:
        findings.warn(result.warning)
    return replace(settings, ca_cert=result.cert)
