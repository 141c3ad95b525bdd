"""The rotation of CAs: a step that is done is remembered, one that is unsafe is refused.

A CA is trusted first, by every member that runs. Then it signs, and the other one vouches for
nothing any more. Then the other one goes. Each is one edit and one update.
"""

import hashlib
import secrets
from collections.abc import Sequence

import pulumi

from etcd_component.model import GIVEN, Authority, Cluster, Settings
from etcd_component.remote import remember

_Note = tuple[pulumi.Resource, pulumi.Output[bool]]
"""What remembers a step, and whether it was there before this run."""


def follow(
    cluster: Cluster,
    *,
    certified: Sequence[pulumi.Resource],
    rolled_out: Sequence[pulumi.Resource],
    opts: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Remember the step that this run completes, and refuse an unsafe one in a preview.

    `certified` are done when all certificates are in place, `rolled_out` when every member runs
    with the CAs that are trusted. What is remembered is made after these, so it can hold nothing
    back in an update: there each node refuses for itself what would cut members off, before
    anything is changed on it (`etcd-node tls`).
    """
    settings = cluster.settings
    this_run = secrets.token_hex(8)
    names = [label(one, settings) for one in settings.authorities]

    def note(name: str, after: Sequence[pulumi.Resource]) -> _Note:
        done = pulumi.ResourceOptions(depends_on=list(after))
        kept = remember(
            f"{cluster.name}-{name}",
            this_run,
            opts=pulumi.ResourceOptions.merge(opts, done),
        )
        return kept, kept.output.apply(lambda first: first != this_run)

    notes = [
        note("certified", [*certified, *rolled_out]),
        note(f"ca-{label(settings.signer, settings)}-signs", certified),
    ]
    if len(names) > 1:
        notes.append(note(f"ca-{'-'.join(names)}-trusted", rolled_out))

    def judge(before: Sequence[bool]) -> None:
        once, signs, *trusted = before
        # A cluster that is being made has nobody to cut off.
        if once and (problem := refusal(settings, signs=signs, trusted=any(trusted))):
            raise pulumi.RunError(f"cluster {cluster.name}: {problem}")

    if pulumi.runtime.is_dry_run():
        pulumi.Output.all(*(existed for _, existed in notes)).apply(judge)
    return [kept for kept, _ in notes]


def refusal(settings: Settings, *, signs: bool, trusted: bool) -> str | None:
    """What is unsafe about the step to these settings, and the way; None if nothing is.

    `signs`: before this run, every certificate in use was of the CA that signs. `trusted`: before
    this run, every member ran with exactly these CAs, of which there are several.
    """
    if signs or trusted:
        return None
    signer = settings.signer
    changed = (
        " A CA that is given is not exchanged for another in place: go by way of one of our own,"
        " and put the old etcd_ca_cert back until then."
        if GIVEN in settings.authorities
        else ""
    )
    if len(settings.authorities) > 1:
        return (
            f"CA {signer} cannot sign yet (etcd_ca_signing), since not all members are known to"
            f" run with the CAs {_listed(settings)}. First leave etcd_ca_signing as it was and"
            " have all of them in etcd_ca_trusted: `pulumi up`. Then this step." + changed
        )
    return (
        f"only CA {signer} would be trusted (etcd_ca_trusted), but certificates of another CA are"
        " in use, and whoever has one would be cut off. First have both in etcd_ca_trusted and"
        f" the old one in etcd_ca_signing: `pulumi up`. Then etcd_ca_signing: {signer}:"
        " `pulumi up`. Then this step." + changed
    )


def label(authority: Authority, settings: Settings) -> str:
    """A CA's name among what is remembered: one that is given is another with another certificate.

    That is the first one, which signs; those above it may come later.
    """
    if authority != GIVEN:
        return str(authority)
    signer = (settings.ca_cert or "").partition("-----END")[0]
    return f"given-{hashlib.sha256(signer.encode()).hexdigest()[:8]}"


def _listed(settings: Settings) -> str:
    return " and ".join(str(one) for one in settings.authorities)
